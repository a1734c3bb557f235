// Checks of every page that the handler shows a person: readable by anyone, in light and dark, on a small screen.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

const SHOTS = path.resolve(import.meta.dirname, '../shots');
const LEAST_CONTRAST = 4.5; // WCAG 2.2 1.4.3, for text of ordinary size
const SMALL = { width: 320, height: 640 }; // WCAG 2.2 1.4.10
const DESKTOP = { width: 1_024, height: 640 };

/** Checks the page that the tab shows, and leaves its picture in shots/, light and dark. `fetched` are the URLs that it may load. */
export async function checkPage(page, name, fetched = [], lang = 'en') {
  await mkdir(SHOTS, { recursive: true });
  const structure = await page.evaluate(readStructure);
  assert.equal(structure.lang, lang);
  assert.ok(structure.title, 'it has a title');
  assert.deepEqual(structure.headings, [structure.title.split(' · ')[0]], 'one h1, which says what the window says');
  assert.equal(structure.mains, 1);
  assert.equal(structure.emptyParagraphs, 0, 'the markup nests as it was meant to');
  assert.deepEqual(structure.fetched, fetched, 'it needs nothing else from anywhere');

  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const faint = (await page.evaluate(readContrasts)).filter(({ ratio }) => ratio < LEAST_CONTRAST);
    assert.deepEqual(faint, [], `readable in ${colorScheme}`);
    for (const [size, viewport] of [['small', SMALL], ['desktop', DESKTOP]]) {
      await page.setViewportSize(viewport);
      await page.screenshot({ path: path.join(SHOTS, `${name}-${colorScheme}-${size}.png`) });
      const width = await page.evaluate(() => document.scrollingElement.scrollWidth);
      assert.ok(width <= viewport.width, `${width} px of ${viewport.width} without scrolling sideways`);
    }
  }
  await checkFocus(page);
}

/** Everything one can click is reached by the Tab key, and one sees where one is (WCAG 2.2 2.4.7). */
async function checkFocus(page) {
  for (const expected of await page.locator('a, button').allTextContents()) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => ({
      text: document.activeElement.textContent,
      outline: getComputedStyle(document.activeElement).outlineStyle,
    }));
    assert.deepEqual([focused.text, focused.outline === 'none'], [expected, false]);
  }
}

function readStructure() {
  return {
    lang: document.documentElement.lang,
    title: document.title,
    headings: [...document.querySelectorAll('h1')].map((heading) => heading.textContent),
    mains: document.querySelectorAll('main').length,
    emptyParagraphs: document.querySelectorAll('p:empty').length, // what a parser leaves of a <form> inside a <p>
    fetched: performance.getEntriesByType('resource').map((entry) => entry.name),
  };
}

/** The contrast of every element that holds text itself, against the nearest background behind it (WCAG 2.2, relative luminance). */
function readContrasts() {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const background = (element) => {
    for (let behind = element; behind; behind = behind.parentElement) {
      const color = parse(getComputedStyle(behind).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const holdsText = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  return [...document.body.querySelectorAll('*')].filter(holdsText).map((element) => {
    const [first, second] = [parse(getComputedStyle(element).color), background(element)].map(luminance);
    const ratio = (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
    return { text: element.textContent.trim(), ratio };
  });
}
