// The test kit, as users import it from "beamline/testing".
export { records } from "./records";
export { TestPipeline } from "./test-pipeline";
export { TestStream } from "./test-stream";
export { Expectation, type Found } from "./expectation";
