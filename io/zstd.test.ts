import { setTimeout as after } from "node:timers/promises";
import { init } from "@bokuweb/zstd-wasm";
import { packZstd, unpackZstd, zstdReady } from "./zstd";

const text = Buffer.from(Array.from({ length: 100_000 }, (_, at) => `${(at * 7919) % 100} `).join(""));

test("what is packed is unpacked", async () => {
  await zstdReady();
  await zstdReady();
  const packed = packZstd(text, 1);
  expect(packed.length).toBeLessThan(text.length / 2);
  expect(Buffer.from(unpackZstd(packed)).equals(text)).toBe(true);
});

test("the library made ready a second time is told, and never gives garbage", async () => {
  await zstdReady();
  const packed = Buffer.from(packZstd(text, 1));
  await init();
  const packMany = async (): Promise<void> => {
    for (;;) {
      expect(packed.equals(packZstd(text, 1))).toBe(true);
      await after(1);
    }
  };
  await expect(packMany()).rejects.toThrow(/^zstd gives no zstd: something else in this process has called init\(\)/);
});
