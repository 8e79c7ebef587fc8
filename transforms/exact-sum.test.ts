import fc from "fast-check";
import { ExactSum, smallest, type Units } from "./exact-sum";

const SMALL = 2n ** 52n;

// Around the edges where numbers stop being exact, and far beyond them.
const units = fc
  .oneof(
    fc.bigInt({ min: -1000n, max: 1000n }),
    fc.bigInt({ min: SMALL - 1000n, max: SMALL + 1000n }),
    fc.bigInt({ min: -SMALL - 1000n, max: -SMALL + 1000n }),
    fc.bigInt({ min: 0n, max: SMALL }),
    fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
  )
  .map(smallest);

describe("smallest", () => {
  it.each<[bigint, Units]>([
    [0n, 0],
    [-5n, -5],
    [SMALL - 1n, Number(SMALL) - 1],
    [SMALL, SMALL],
    [-SMALL, -SMALL],
  ])("%s is kept as the smallest type that is exact", (given, expected) => {
    expect(smallest(given)).toBe(expected);
  });
});

describe("an exact sum", () => {
  it("is 0 of nothing", () => {
    expect(new ExactSum().value()).toBe(0n);
  });

  it("equals a sum of bigints", () => {
    fc.assert(
      fc.property(fc.array(units), (values) => {
        const sum = new ExactSum();
        for (const value of values) sum.add(value);
        expect(sum.value()).toBe(values.reduce<bigint>((total, value) => total + BigInt(value), 0n));
      }),
    );
  });

  it("equals a sum of products of bigints, mixed with plain values, whenever it is asked", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(units, units, fc.boolean()), { maxLength: 60 }), (terms) => {
        const sum = new ExactSum();
        let expected = 0n;
        for (const [a, b, isProduct] of terms) {
          if (isProduct) sum.addProduct(a, b);
          else sum.add(a);
          expected += isProduct ? BigInt(a) * BigInt(b) : BigInt(a);
          expect(sum.value()).toBe(expected);
        }
      }),
    );
  });

  it("stays exact over many of the greatest numbers", () => {
    const sum = new ExactSum();
    const greatest = Number(SMALL) - 1;
    for (let n = 0; n < 1000; n += 1) {
      sum.addProduct(greatest, greatest);
      sum.add(greatest);
      sum.add(-greatest + n);
    }
    expect(sum.value()).toBe(1000n * BigInt(greatest) ** 2n + 499_500n);
  });
});
