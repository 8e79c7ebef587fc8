"""Runs moto as an S3 that asks for credentials: it checks signatures as soon as a user exists whose keys it knows."""

import logging
import os

from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.server import main

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'

iam = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
iam.create_user(region_name="us-east-1", user_name="beamline")
iam.put_user_policy("beamline", "everything", POLICY)
key = iam.create_access_key("beamline")
key.access_key_id = os.environ["AWS_ACCESS_KEY_ID"]
key.secret_access_key = os.environ["AWS_SECRET_ACCESS_KEY"]
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

# A line for each request would fill the log.
logging.getLogger("werkzeug").setLevel(logging.WARNING)

if __name__ == "__main__":
    main()
