// What the page says, in the reader's language.
"use strict";
self.WORDS = {
  en: {
    hint: "Drag on the picture, or use the arrow keys. Nothing leaves this page.",
    wish: "What it shows", towards: "Towards", mix: "How far towards it", anything: "anything",
    seed: "Seed", dice: "Another", truncation: "Boldness", directions: "Directions", direction: "Direction",
    drift: "Drift", reset: "Reset", save: "Save PNG", opening: "Opening the generator…",
    rate: (ms, threads) => `${ms.toFixed(0)} ms a picture, ${threads} thread${threads > 1 ? "s" : ""}`,
    picture: "A synthetic picture, painted as you move",
    made: "Made with Alla Prima. Every picture of this page is synthetic.",
    failed: "The generator could not be opened:",
  },
  zh: {
    hint: "在图上拖动，或使用方向键。所有内容都不会离开此页面。",
    wish: "内容", towards: "渐变到", mix: "渐变程度", anything: "任意",
    seed: "种子", dice: "换一个", truncation: "大胆程度", directions: "方向", direction: "方向",
    drift: "漂移", reset: "重置", save: "保存 PNG", opening: "正在打开生成器……",
    rate: (ms, threads) => `每张 ${ms.toFixed(0)} 毫秒，${threads} 个线程`,
    picture: "随手绘制的合成图片",
    made: "由 Alla Prima 制作。此页面的每张图片都是合成的。",
    failed: "无法打开生成器：",
  },
};
