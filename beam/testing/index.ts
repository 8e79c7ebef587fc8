// The test kit, as users import it from "beamline/testing".
export { TestPipeline } from "./test-pipeline";
export { TestStream } from "./test-stream";
export { Expectation, type Found } from "./expectation";
