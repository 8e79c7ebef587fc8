"""What a TaskManager starts as a worker of Beam's Python SDK: what Beam's own container does before its worker begins."""

import argparse
import os

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

parser = argparse.ArgumentParser()
parser.add_argument("--id", required=True)
parser.add_argument("--provision_endpoint", required=True)
asked, _ = parser.parse_known_args()

with grpc.insecure_channel(asked.provision_endpoint) as channel:
    service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
    request = beam_provision_api_pb2.GetProvisionInfoRequest()
    info = service.GetProvisionInfo(request, metadata=[("worker_id", asked.id)]).info
os.environ["WORKER_ID"] = asked.id
os.environ["CONTROL_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(info.control_endpoint)
os.environ["LOGGING_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(info.logging_endpoint)
os.environ["PIPELINE_OPTIONS"] = json_format.MessageToJson(info.pipeline_options)
os.environ["RUNNER_CAPABILITIES"] = " ".join(info.runner_capabilities)
sdk_worker_main.main([])
