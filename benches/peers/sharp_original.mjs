// The original tool's job in sharp, as its users would write it: a promise for each picture, as many at a time as the
// thread pool has threads.
//
// usage: sharp_original.mjs INPUT OUTPUT MARK.png HEIGHT QUALITY OUTPUT_QUALITY OPACITY THREADS
// The mark comes with its opacity applied: sharp has no such step. Prints pictures and seconds.
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";

const [input, output, mark, height, quality, outputQuality, , threads] = process.argv.slice(2);
sharp.concurrency(1);
sharp.cache(false);
mkdirSync(output, { recursive: true });

async function treat(name) {
  const lossless = name.endsWith(".png");
  let picture = sharp(join(input, name)).autoOrient().resize({ height: Number(height), kernel: "cubic" });
  if (!lossless && Number(quality) < 100) {
    picture = sharp(await picture.keepIccProfile().jpeg({ quality: Number(quality) }).toBuffer());
  }
  picture = picture.composite([{ input: mark, left: 0, top: 0 }]).keepIccProfile();
  picture = lossless ? picture.png() : picture.jpeg({ quality: Number(outputQuality), chromaSubsampling: "4:2:0" });
  await picture.toFile(join(output, name));
}

const names = readdirSync(input).sort();
let done = 0;
const start = performance.now();
const next = names[Symbol.iterator]();
await Promise.all(
  Array.from({ length: Number(threads) }, async () => {
    for (const name of next) {
      try {
        await treat(name);
        done += 1;
      } catch (error) {
        console.error(`${name}: ${error.message}`);
      }
    }
  }),
);
console.log(`${done} ${((performance.now() - start) / 1000).toFixed(3)}`);
