// Stands in for the fast-deep-equal package, which compares constructors: these differ between jest's realms, so that
// equal windowing strategies look different and apache-beam refuses to join their collections.
module.exports = require("node:util").isDeepStrictEqual;
