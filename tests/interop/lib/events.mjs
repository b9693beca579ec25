// What happened, in order, and waiting for what is to happen.
import { clearTimeout, setTimeout } from 'node:timers';
import { inspect } from 'node:util';

/** How long anything may take before a test fails, in milliseconds. */
export const LIMIT = 15_000;

/** `promise`, or a failure that says what was waited for. */
export async function within(promise, what, limit = LIMIT) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is yes; for what tells nobody when it happens. */
export async function eventually(holds, what, limit = LIMIT) {
  let late = false;
  const asking = (async () => {
    while (!late && !(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
  })();
  await within(asking, () => `not so: ${what},`, limit).finally(() => (late = true));
}

/** A list of `{event, …}` that grows, read in order. */
export class Events {
  #list = [];
  #read = 0;
  #wake = () => {};
  #end;

  constructor(owner) {
    this.owner = owner;
  }

  push(event) {
    this.#list.push(event);
    this.#wake();
  }

  /** No event will come any more; whoever waits fails at once. */
  end(why) {
    this.#end = why;
    this.#wake();
  }

  /** The next event of that name (with these members), passing over others. */
  next(name, members = {}, limit = LIMIT) {
    const fits = (e) => e.event === name && Object.entries(members).every(([key, value]) => e[key] === value);
    const wanted = () => `${this.owner}: no ${name} ${inspect(members)} among ${inspect(this.#list, { depth: 4 })}`;
    return within(this.#find(fits, wanted), wanted, limit);
  }

  /** The names of all events so far. */
  names() {
    return this.#list.map((e) => e.event);
  }

  async #find(fits, wanted) {
    for (;;) {
      while (this.#read < this.#list.length) {
        const event = this.#list[this.#read++];
        if (fits(event)) return event;
      }
      if (this.#end) throw new Error(`${wanted()}; ${this.#end}`);
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }
}
