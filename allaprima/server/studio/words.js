// The studio's words in another language: whatever stands on the page in English is looked up and replaced, when it appears and
// when it changes. Panels are written in English alone and know nothing of this. Words of people (names, wishes) are left alone.

import { PATTERNS, WORDS } from '/studio/words/zh.js';

const KEPT = 'allaprima.language';
const ATTRIBUTES = ['title', 'aria-label', 'placeholder', 'alt'];
const THEIRS = '#subject, code, textarea, [data-theirs]'; // the content, not the attributes

export const LANGUAGES = { en: 'English', zh: '中文' };
export const language = () => localStorage.getItem(KEPT) ?? (navigator.language.startsWith('zh') ? 'zh' : 'en');

export function choose(name) {
  localStorage.setItem(KEPT, name);
  location.reload();
}

/** The words for an English text, or for a problem and its remedy with a colon between them; null where there are none. */
function known(text) {
  if (Object.hasOwn(WORDS, text)) return WORDS[text];
  for (const [pattern, words] of PATTERNS) {
    const found = pattern.exec(text);
    if (found) return words.replace(/\$(\d)/g, (_, place) => known(found[place]) ?? found[place]);
  }
  for (let at = text.indexOf(': '); at > 0; at = text.indexOf(': ', at + 1)) {
    const [problem, remedy] = [known(text.slice(0, at)), known(text.slice(at + 2))];
    if (problem !== null && remedy !== null) return `${problem}：${remedy}`;
  }
  return null;
}

function translated(text) {
  const trimmed = text.trim();
  const words = trimmed ? known(trimmed) : null;
  return words === null ? text : text.replace(trimmed, () => words);
}

function visit(node) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.parentElement?.closest(THEIRS)) return;
    const made = translated(node.data);
    if (made !== node.data) node.data = made;
    return;
  }
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  for (const name of ATTRIBUTES) {
    if (!node.hasAttribute(name)) continue;
    const made = translated(node.getAttribute(name));
    if (made !== node.getAttribute(name)) node.setAttribute(name, made);
  }
  for (const child of node.childNodes) visit(child);
}

/** Keep what is under `root` in the chosen language. */
export function translate(root) {
  root.lang = language() === 'zh' ? 'zh-Hans' : 'en';
  if (language() === 'en') return;
  visit(root);
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === 'childList') addedNodes.forEach(visit);
      else visit(target);
    }
  }).observe(root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
}
