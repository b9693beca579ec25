// The few things of a browser that the SDKs reach for, on Node.
import { File } from 'node:buffer';
import http from 'node:http';
import { createRequire } from 'node:module';
import WebSocket from 'ws';

/** One request per connection, so that no request is lost on a pooled connection the server has dropped. */
class XMLHttpRequest {
  readyState = 0;
  status = 0;
  responseText = '';
  responseType = '';
  timeout = 0;
  upload = new EventTarget();
  #headers = {};
  #target;
  #request;
  #bytes = Buffer.alloc(0);
  #listeners = new EventTarget();

  addEventListener(name, listener) {
    this.#listeners.addEventListener(name, listener);
  }

  open(method, url) {
    this.#target = { method, url };
    this.#become(1);
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  getResponseHeader() {
    return null;
  }

  send(body) {
    if (body instanceof FormData) this.#sendForm(new Response(body));
    else this.#send(body);
  }

  async #sendForm(form) {
    this.#headers['content-type'] = form.headers.get('content-type');
    this.#send(Buffer.from(await form.arrayBuffer()));
  }

  #send(body) {
    const { method, url } = this.#target;
    this.#request = http.request(url, { method, headers: this.#headers, agent: false, timeout: this.timeout });
    this.#request.on('timeout', () => {
      this.#request.destroy();
      this.ontimeout?.();
    });
    this.#request.on('error', () => this.#done(0, Buffer.alloc(0)));
    this.#request.on('response', async (response) => {
      try {
        this.#done(response.statusCode, Buffer.concat(await response.toArray()));
      } catch {
        this.#done(0, Buffer.alloc(0));
      }
    });
    // A browser gives every body a length; Node leaves it out in a DELETE.
    if (body) this.#request.setHeader('content-length', Buffer.byteLength(body));
    this.#request.end(body ?? undefined);
  }

  abort() {
    this.#request?.destroy();
  }

  get response() {
    return this.responseType === 'blob' ? new Blob([this.#bytes]) : this.responseText;
  }

  #done(status, bytes) {
    if (this.readyState === 4) return;
    this.status = status;
    this.#bytes = bytes;
    this.responseText = bytes.toString();
    this.#become(4);
    if (status === 0) this.onerror?.();
    this.#listeners.dispatchEvent(new Event(status === 0 ? 'error' : 'load'));
  }

  #become(state) {
    this.readyState = state;
    this.onreadystatechange?.();
  }
}

class FileReader extends EventTarget {
  async readAsArrayBuffer(blob) {
    this.#done(await blob.arrayBuffer());
  }

  async readAsText(blob) {
    this.#done(await blob.text());
  }

  #done(result) {
    this.result = result;
    this.onload?.({ target: this });
    this.dispatchEvent(new Event('loadend'));
  }
}

/** A browser's socket tells of failures by events; `ws` would throw those nobody listens to. */
class BrowserSocket extends WebSocket {
  constructor(url) {
    super(url, { perMessageDeflate: false });
    this.on('error', () => {});
  }
}

class Storage {
  #items = new Map();
  getItem = (key) => this.#items.get(key) ?? null;
  setItem = (key, value) => void this.#items.set(key, String(value));
  removeItem = (key) => void this.#items.delete(key);
}

function install() {
  const ignore = () => {};
  const shared = {
    WebSocket: BrowserSocket,
    XMLHttpRequest,
    FileReader,
    File,
    localStorage: new Storage(),
    location: new URL('http://localhost/'),
    navigator: { userAgent: 'Mozilla/5.0 Chrome/120.0', onLine: true },
    document: { hidden: false, addEventListener: ignore, removeEventListener: ignore, createElement: () => ({}) },
    addEventListener: ignore,
    removeEventListener: ignore,
  };
  for (const [name, value] of Object.entries({ ...shared, self: globalThis, window: { ...shared, URL, Blob } })) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}

/** The SDKs keep timers for ever, as a page may; a process is to end when everything else has. */
function release(name) {
  const start = globalThis[name];
  globalThis[name] = (...args) => start(...args).unref();
}

/** Loads one of the vendor's packages, silent: both log everything to the console unless told otherwise. */
function load(name) {
  const log = console.log;
  console.log = () => {};
  try {
    const module = createRequire(import.meta.url)(name);
    const sdk = module.default ?? module;
    sdk.logger.disableAll();
    return sdk;
  } finally {
    console.log = log;
  }
}

install();
release('setTimeout');
release('setInterval');

/** Both SDKs by package name, in the order of their age. */
export const sdks = Object.fromEntries(['agora-chat', 'easemob-websdk'].map((name) => [name, load(name)]));
