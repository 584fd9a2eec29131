// A browser's side of a multichat room.
//
// The page speaks the Multi-chat Messaging Protocol (MCMP) itself. The server carries the bytes of the protocol over a
// WebSocket, in both directions, as one long stream: where a WebSocket message begins or ends means nothing.
//
// The sections of this file, from the bottom layer to the top:
//
//   1. Words       every word that the page says, in one table
//   2. Limits      the numbers
//   3. Wire        messages to bytes, bytes to messages
//   4. Link        the connection: requests and their responses, and connecting again
//   5. Room        what is known of the room, and what each server message means
//   6. Log         what was said, on the screen
//   7. Files       sharing and fetching
//   8. Saying      the message box, and what is not in the room yet
//   9. People      who is here, and the one talked to
//  10. Attention   the title, the sound, the state of the connection
//  11. Start       the dialog, and the events of the page
//
// What strangers wrote is shown as text, with textContent. It never becomes HTML. The address of a room in a local
// network is plain HTTP, so the page uses nothing that browsers keep for HTTPS (the clipboard API, crypto.subtle,
// notifications).

// ---- 1. Words ----------------------------------------------------------------------------------------------------

const WORDS = {
  // The page
  skip: 'Go to the message box',
  messages: 'Messages',
  empty: 'Nobody has said anything yet.',
  unsent: 'Not in the room yet',
  back: 'Back to all',
  share: 'Share a file',
  message: 'Message',
  send: 'Send',
  here: 'Who is here',
  close: 'Close',
  people: 'People',
  sound: 'Sound',
  soundStates: { off: 'off', private: 'private', all: 'all' },
  drop: 'Drop the file to share it',
  noWebSocket: 'This page is a chat room, and this browser cannot open the connection that it needs (a WebSocket). '
    + 'Please update the browser, or open the address in another one.',
  title: (room, unread) => (unread > 0 ? `(${unread}) ` : '') + `${room} · multichat`,

  // The dialog
  roomAt: 'The chat room at',
  tellOthers: 'Tell this address to others: they open it in a browser, and are in the room.',
  onlyHere: 'This address works on this computer alone. The others need its address in the network.',
  nickname: 'Nickname',
  join: 'Join',
  joinSkip: 'Skip',
  rename: 'Change nickname',
  change: 'Change',
  cancel: 'Cancel',

  // The state of the connection
  notConnected: 'not connected',
  connecting: 'connecting …',
  connected: 'connected',
  reconnecting: 'reconnecting …',
  reconnectingFull: 'reconnecting … (the room is full)',
  reconnectingRefused: 'reconnecting … (the room does not let you in)',

  // Messages
  unnamed: 'Unnamed',
  you: '(you)',
  toYou: 'to you alone',
  toOne: (name) => `to ${name} alone`,
  copy: 'Copy',
  copied: 'Copied',
  answer: 'Answer',
  showAll: 'Show all',
  showLess: 'Show less',
  news: (count) => `${count} new`,

  // Notices
  joined: (name) => `${name} joined`,
  renamed: (name, now) => `${name} is now ${now}`,
  left: (name, cause) => `${name} left` + (cause ? `: ${cause}` : ''),
  missing: (count) => `${count} messages that you missed are no longer kept.`,
  restarted: 'The server was started again. All numbers of people and files begin anew, and you talk to all.',
  uncertain: 'Connected again. All numbers of people and files may have changed, and you talk to all.',
  serverSays: (reason) => `The server: ${reason}`,

  // Saying
  toAll: 'To everybody',
  onlyOne: (name) => `Only ${name} will read this`,
  onlyOneGone: (name) => `${name} has left. What you say here reaches nobody.`,
  placeholderAll: 'Say something to everybody',
  placeholderOne: (name) => `Say something to ${name} alone`,
  sending: 'Sending …',
  unconfirmed: 'Not confirmed: the connection was lost.',
  offline: 'Not sent: there is no connection.',
  privateLost: (name) => `Not confirmed. It was for ${name} alone, and this number may be somebody else's by now.`,
  refused: (reason) => `Not sent: ${reason}`,
  forOne: (name) => `For ${name} alone`,
  sendAgain: 'Send again',
  discard: 'Discard',
  command: (name) => `Not said: /${name} is for the client on a terminal. Here, click a name to talk to one alone. `
    + `To say it all the same, write //${name}.`,
  tooLong: (has, limit) => `This text has ${has} bytes, and the room takes at most ${limit} in one message.`,

  // Files
  shareLimit: (size) => `At most ${size}`,
  shareTitle: (size) => `Share a file of at most ${size}`,
  fileTooLarge: (name, size, limit) => `${name} has ${size}, and the room takes at most ${limit}.`,
  fileUnreadable: (name) => `${name} cannot be read. Only files can be shared, no folders.`,
  upload: 'Upload',
  save: 'Save',
  saveName: (name) => `Save ${name}`,
  show: 'Show',
  showName: (name) => `Show ${name}`,
  hide: 'Hide',
  hideName: (name) => `Hide ${name}`,
  fetching: (percent) => `${percent} %`,
  fetchLost: 'The connection was lost. Please try again.',
  fetchOffline: 'There is no connection. Please try again later.',
  noPicture: 'This is not a picture that the browser can show.',
  fileGone: 'The server may no longer have it under this number.',
  bytes: (count) => (count === 1 ? '1 byte' : `${count} bytes`),
  kilobytes: (count) => `${count} KB`,
  megabytes: (count) => `${count} MB`,
};

// ---- 2. Limits ---------------------------------------------------------------------------------------------------

const LOG_MESSAGES = 2000; // more are removed at the top
const LOG_NOTICES = 500;
const RETRY_FIRST = 1000; // milliseconds until the page connects again; doubled each time
const RETRY_MOST = 30_000;
const SILENCE = 30_000; // milliseconds without a byte, while an answer is due, until the connection counts as lost
const HEADER_BYTES = 64 * 1024; // no header is as long: what is longer is not the protocol
const UPLOAD_PIECE = 64 * 1024; // bytes of a file that are given to the socket at a time
const UPLOAD_AHEAD = 256 * 1024; // bytes that may wait in the socket
const LINK_LENGTH = 2000; // characters
const MOST_LINKS = 100; // in one text; what follows stays text
const FOLD_LENGTH = 1500; // characters, or
const FOLDED_LENGTH = 4000; // characters that are laid out of a folded text; no more of them can be seen
const FOLD_LINES = 18; // lines, from which on a text is folded
const PREVIEW_BYTES = 2 * 1024 * 1024;
const PREVIEW_TYPES = new Set(['png', 'jpg', 'jpeg', 'gif', 'webp', 'avif']);
const BLOCK_LINES = 50; // of the log, in one element
const FRAME_LINES = 250; // lines of the log that are made in one frame, and more where these took less than
const FRAME_WORK = 12; // milliseconds
const PENDING_SHOWN = 400; // milliseconds until a text that is on its way is shown as such

// ---- 3. Wire -----------------------------------------------------------------------------------------------------

const toBytes = new TextEncoder();
const toText = new TextDecoder('utf-8', { ignoreBOM: true }); // a U+FEFF at the start of a text is a part of it

/** The bytes of a client message's header. `fields` is a list of [name, value]; `length` is the body's, in bytes. */
function encodeHeader(type, id, fields, length) {
  let header = `Message-Type ${type}\r\nMessage-ID ${id}\r\n`;
  for (const [name, value] of fields) header += `${name} ${value}\r\n`;
  if (length !== undefined) header += `Content-Length ${length}\r\n`;
  return toBytes.encode(header + '\r\n');
}

/** A message of the server: its fields by name in lower case, and its body as a list of pieces. */
class ServerMessage {
  constructor(header) {
    this.fields = new Map();
    this.parts = [];
    for (const line of header.split('\n')) {
      const trimmed = line.trimEnd();
      const space = trimmed.search(/[ \t]/);
      if (space < 0) throw new Error(`not a header line: ${trimmed.slice(0, 80)}`);
      this.fields.set(trimmed.slice(0, space).toLowerCase(), trimmed.slice(space).trimStart());
    }
    this.length = this.number('content-length');
    if (this.length === undefined) throw new Error('a message without Content-Length');
    this.isResponse = this.fields.has('status');
    this.ok = this.get('status') === 'Ok';
    this.type = this.get('message-type');
    // The relay of a file announces the file's size, and has no body.
    this.bodyLength = !this.isResponse && this.fields.has('file-id') ? 0 : this.length;
  }

  get(name) {
    return this.fields.get(name);
  }

  /** A field that is a number; undefined where it is missing. */
  number(name) {
    const value = this.fields.get(name);
    return value !== undefined && /^\d{1,20}$/.test(value) ? Number(value) : undefined;
  }

  bytes() {
    if (this.parts.length === 1) return this.parts[0];
    return joined(this.parts);
  }

  text() {
    return toText.decode(this.bytes());
  }
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Reads messages from a stream of bytes that comes in pieces, cut anywhere. */
class Reader {
  /** `arrived` gets each message when it is whole, `growing` one whose body is still coming. */
  constructor(arrived, growing = () => {}) {
    this.arrived = arrived;
    this.growing = growing;
    this.rest = new Uint8Array(0); // the start of a header, whose end has not come
    this.message = null; // a message whose body has not come
    this.missing = 0; // bytes of that body
  }

  push(piece) {
    const bytes = this.rest.length > 0 ? joined([this.rest, piece]) : piece;
    this.rest = new Uint8Array(0);
    let at = 0;
    for (;;) {
      if (this.message === null) {
        while (bytes[at] === 10 || bytes[at] === 13) at += 1; // empty lines between messages
        const end = headerEnd(bytes, at);
        if (end < 0) {
          if (bytes.length - at > HEADER_BYTES) throw new Error('a header without an end');
          this.rest = bytes.slice(at);
          return;
        }
        this.message = new ServerMessage(toText.decode(bytes.subarray(at, end)).trimEnd());
        this.missing = this.message.bodyLength;
        at = end;
      }
      const part = bytes.subarray(at, at + this.missing);
      if (part.length > 0) this.message.parts.push(part);
      this.missing -= part.length;
      at += part.length;
      if (this.missing > 0) {
        this.growing(this.message, this.message.length - this.missing);
        return;
      }
      const message = this.message;
      this.message = null;
      this.arrived(message);
    }
  }
}

/** Where the header that begins at `from` ends, its empty line included; -1 if that has not come. */
function headerEnd(bytes, from) {
  for (let line = from; ;) {
    const end = bytes.indexOf(10, line);
    if (end < 0) return -1;
    if (end === line || (end === line + 1 && bytes[line] === 13)) return end + 1;
    line = end + 1;
  }
}

// ---- 4. Link -----------------------------------------------------------------------------------------------------

/**
 * The connection. It comes back by itself when it is lost.
 *
 * `events` has the functions `opened()`, `relay(message)`, `complaint(reason)` (an error that answers no request),
 * `lost()` and `trouble(status)` (an HTTP status, why no connection can be made).
 */
class Link {
  constructor(events) {
    this.events = events;
    this.socket = null;
    this.wanted = false;
    this.isOpen = false;
    this.wait = RETRY_FIRST;
    this.timer = 0;
    this.reset();
  }

  reset() {
    this.lastId = 0;
    this.requests = []; // those that were asked and are not answered: { id, answered, growing }
    this.outbox = []; // those that the socket has not been given yet
    this.writing = false;
    this.upload = null;
    this.heard = Date.now();
  }

  /** Connects, and goes on trying. */
  open() {
    clearTimeout(this.timer);
    this.wanted = true;
    if (this.socket !== null) return;
    const socket = new WebSocket(`ws://${location.host}/chat`, 'mcmp');
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.reset();
    const reader = new Reader((message) => this.take(message), (message, has) => this.grow(message, has));
    socket.addEventListener('open', () => {
      if (socket !== this.socket) return;
      this.isOpen = true;
      this.heard = Date.now();
      this.events.opened();
    });
    socket.addEventListener('message', (event) => {
      if (socket !== this.socket) return;
      this.heard = Date.now();
      try {
        reader.push(new Uint8Array(event.data));
      } catch (error) {
        console.error(error);
        this.drop();
      }
    });
    socket.addEventListener('close', () => {
      if (socket === this.socket) this.drop();
    });
  }

  /** Gives up this connection, and tries another one after a while. */
  drop() {
    const wasOpen = this.isOpen;
    const { socket, requests } = this;
    this.socket = null;
    this.isOpen = false;
    this.reset();
    socket?.close();
    for (const { answered } of requests) answered(undefined);
    if (wasOpen) this.events.lost();
    if (!this.wanted) return;
    if (!wasOpen) this.findTrouble();
    const jitter = 0.75 + Math.random() / 2;
    this.timer = setTimeout(() => this.open(), Math.min(this.wait * jitter, RETRY_MOST));
    this.wait = Math.min(2 * this.wait, RETRY_MOST);
  }

  /** A browser does not tell why it got no WebSocket; the page itself is refused for the same reason. */
  async findTrouble() {
    try {
      const answer = await fetch('/', { method: 'HEAD', cache: 'no-store' });
      if (this.socket === null || !this.isOpen) this.events.trouble(answer.status);
    } catch {
      this.events.trouble(0);
    }
  }

  /** Leaves for good, as the protocol has it: with a `bye`, which has no response. */
  leave() {
    this.wanted = false;
    clearTimeout(this.timer);
    if (this.isOpen && !this.writing) this.socket.send(encodeHeader('bye', ++this.lastId, []));
    this.drop();
  }

  /** Tries at once, where the next try is still to come. */
  hurry() {
    if (this.wanted && this.socket === null) {
      this.wait = RETRY_FIRST;
      this.open();
    }
  }

  /**
   * Sends a client message; `answered` gets its response, or undefined where the connection is lost before it.
   *
   * `body` is a text, a Blob, or undefined. `growing` is told how many bytes of a Blob were sent, or of the response's
   * body have come.
   */
  ask(type, fields, body, answered, growing = () => {}) {
    const id = ++this.lastId;
    const bytes = typeof body === 'string' ? toBytes.encode(body) : body;
    const length = bytes === undefined ? undefined : (bytes.size ?? bytes.length);
    this.requests.push({ id, answered, growing });
    this.outbox.push({ header: encodeHeader(type, id, fields, length), body: bytes, growing });
    this.write();
  }

  /** Writes what waits. While a file is on its way nothing else can be: it is one stream. */
  write() {
    while (!this.writing && this.outbox.length > 0) {
      const { header, body, growing } = this.outbox.shift();
      this.socket.send(header);
      if (body instanceof Blob) this.writeFile(body, growing);
      else if (body !== undefined) this.socket.send(body);
    }
  }

  async writeFile(file, growing) {
    const { socket } = this;
    this.writing = true;
    try {
      for (let at = 0; at < file.size; at += UPLOAD_PIECE) {
        const piece = await file.slice(at, at + UPLOAD_PIECE).arrayBuffer();
        while (socket === this.socket && socket.bufferedAmount > UPLOAD_AHEAD) {
          await new Promise((resolve) => { setTimeout(resolve, 15); });
        }
        if (socket !== this.socket) return;
        socket.send(piece);
        this.heard = Date.now();
        growing(Math.max(0, at + piece.byteLength - socket.bufferedAmount));
      }
    } catch (error) {
      // The file was changed or removed meanwhile. Its length is promised, so only an end of the connection helps.
      console.error(error);
      if (socket === this.socket) this.drop();
      return;
    }
    this.writing = false;
    this.write();
    while (socket === this.socket && socket.bufferedAmount > 0) {
      await new Promise((resolve) => { setTimeout(resolve, 15); });
      growing(Math.max(0, file.size - socket.bufferedAmount));
    }
    growing(file.size);
  }

  take(message) {
    if (!message.isResponse) {
      this.events.relay(message);
      return;
    }
    const id = message.number('message-id');
    const index = this.requests.findIndex((request) => request.id === id);
    if (index < 0) {
      this.events.complaint(message.text().trim());
      return;
    }
    const [request] = this.requests.splice(index, 1);
    request.answered(message);
  }

  grow(message, has) {
    const id = message.isResponse ? message.number('message-id') : undefined;
    this.requests.find((request) => request.id === id)?.growing(has, message.length);
  }

  /** A connection without a byte for a long time, though an answer is due, is lost. */
  check() {
    if (this.isOpen && this.requests.length > 0 && Date.now() - this.heard > SILENCE) this.drop();
  }
}

// ---- 5. Room -----------------------------------------------------------------------------------------------------

const room = {
  isReady: false, // greeted: what the server offers is known, and the history is there
  uid: undefined, // one's own
  nickname: '',
  features: new Map(), // what the server offers beyond the draft
  started: undefined, // when the server started
  began: false, // there was a connection before
  closedOver: 0, // how often the server has ended the connection over a query with a body
  sequence: undefined, // the last public message that is known
  ownPlaces: [], // places in the order that were skipped: those of one's own messages, whose response is to come
  early: [], // what arrives before the history does
  clockAhead: 0, // milliseconds by which the server's clock is ahead
  kicked: '', // why the server ends the connection
};

const link = new Link({
  opened: greet,
  relay: arrive,
  complaint: (reason) => {
    room.kicked = reason;
  },
  lost: forgetConnection,
  trouble: showTrouble,
});

/** The first flight: the query with which the draft begins a session, the nickname, and what the server offers. */
function greet() {
  room.uid = undefined;
  room.early = [];
  room.ownPlaces = [];
  room.features = new Map();
  room.kicked = '';
  let answered = false;
  link.ask('query', [], undefined, (response) => {
    answered = response !== undefined;
    if (response?.ok) setPeople(lines(response).map((uid) => [Number(uid), '']));
  });
  if (room.nickname !== '') sendNickname(room.nickname);
  if (room.closedOver >= 2) {
    // A server of the draft, and a strict one: it is asked nothing more.
    if (room.began) beginAnew(WORDS.uncertain);
    beReady();
    return;
  }
  link.ask('query', [], 'features', (response) => {
    room.closedOver = response === undefined && answered ? room.closedOver + 1 : 0;
    if (response !== undefined) learn(response);
  });
}

/** Learns what the server offers, and asks for it: the second flight. */
function learn(response) {
  if (response.ok) {
    for (const line of lines(response)) {
      const [name, ...value] = line.split(' ');
      room.features.set(name, value.join(' '));
    }
  }
  const started = room.features.get('started');
  if (room.began && started === undefined) beginAnew(WORDS.uncertain);
  else if (room.began && started !== room.started) beginAnew(WORDS.restarted);
  room.started = started;
  showLimits();
  const query = (body, use) => link.ask('query', [], body, (answer) => {
    if (answer?.ok) use(answer);
  });
  if (room.features.has('self')) query('self', (answer) => meetOneself(Number(answer.text())));
  if (room.features.has('extended')) query('extended', () => {}); // from its response on relays tell more
  if (room.features.has('names')) query('names', takeNames);
  const kept = Number(room.features.get('history') ?? 0);
  if (kept > 0) {
    const after = room.began && room.sequence !== undefined ? ` after ${room.sequence}` : '';
    link.ask('query', [], `history ${kept}${after}`, (answer) => {
      if (answer?.ok) takeHistory(answer);
      if (answer) beReady();
    });
  } else {
    // The answer to a last query: by then all others are answered.
    link.ask('query', [], undefined, (answer) => answer && beReady());
  }
}

/** The server was started again, or may have been: UIDs, File-IDs and the order of messages begin anew. */
function beginAnew(words) {
  room.sequence = undefined;
  log.forgetOrder();
  forgetFiles();
  loseDrafts();
  talkTo(null);
  for (const item of unsent) {
    losePrivate(item);
    item.uid = undefined; // what somebody else says under this number now confirms nothing
  }
  setPeople([...people.keys()].map((uid) => [uid, '']), true);
  log.notice([words], true);
  showProblem(words);
}

function beReady() {
  room.isReady = true;
  room.began = true;
  link.wait = RETRY_FIRST;
  const { early } = room;
  room.early = [];
  for (const message of early) show(message);
  showState();
  showUnsent();
  showReceiver();
}

function forgetConnection() {
  room.isReady = false;
  if (room.kicked !== '') {
    // The server has told why it ends the connection: to come back at once would only repeat that.
    log.notice([WORDS.serverSays(room.kicked)], true);
    link.wanted = false;
    askToJoin(room.kicked);
  }
  showState();
  showUnsent();
}

function lines(message) {
  return message.text().split('\n').filter((line) => line !== '');
}

/** The public messages before one's own time, each as its relay. */
function takeHistory(answer) {
  const relays = [];
  new Reader((relay) => relays.push(relay)).push(answer.bytes());
  const first = relays[0]?.number('sequence');
  if (room.began && room.sequence !== undefined && first > room.sequence + 1) {
    log.notice([WORDS.missing(first - room.sequence - 1)], true);
  }
  for (const relay of relays) {
    room.sequence = relay.number('sequence');
    log.message(entryOf(relay, confirmByHistory(relay)));
  }
  room.sequence ??= 0;
}

/** Something arrives that nobody asked for: a relay or a notice. */
function arrive(message) {
  if (room.isReady) show(message);
  else room.early.push(message);
}

function show(message) {
  if (message.type === 'notice') showNotice(message);
  else if (message.type === 'chat') showRelay(message);
}

function showRelay(message) {
  const entry = entryOf(message, false);
  if (entry.to === undefined) keepPlace(entry);
  else entry.isOwn = entry.uid === room.uid;
  const time = message.get('time');
  if (time !== undefined) room.clockAhead = entry.time - Date.now();
  if (entry.uid > 0) meet(entry.uid, entry.nickname);
  log.message(entry);
  if (!entry.isOwn) attend(entry);
}

/** Follows the one order of public messages, which has no gaps but those of one's own messages. */
function keepPlace(entry) {
  if (room.sequence === undefined) {
    room.sequence = entry.sequence;
    return;
  }
  entry.sequence ??= room.sequence + 1; // a relay that came before the extended form
  if (entry.sequence > room.sequence + 1) {
    const ownCount = unsent.filter((item) => item.state === SENDING && item.to === undefined).length;
    for (let place = room.sequence + 1; place < entry.sequence && room.ownPlaces.length < ownCount; place += 1) {
      room.ownPlaces.push(place);
    }
  }
  room.sequence = Math.max(room.sequence, entry.sequence);
}

/** The place of one's own public message, whose response has come. */
function ownPlace() {
  if (room.sequence === undefined) return undefined;
  return room.ownPlaces.shift() ?? ++room.sequence;
}

function entryOf(message, isOwn) {
  const fileId = message.number('file-id');
  const time = Date.parse(message.get('time') ?? '');
  return {
    uid: message.number('from'),
    nickname: message.get('sender-nickname') ?? '',
    to: message.number('to'),
    isOwn,
    sequence: message.number('sequence'),
    time: Number.isNaN(time) ? Date.now() : time,
    text: fileId === undefined ? message.text() : '',
    file: fileId === undefined ? undefined : {
      id: fileId,
      type: message.get('content-type') ?? 'bin',
      size: message.length,
      name: message.get('file-name') ?? '',
    },
  };
}

function showNotice(message) {
  const uid = message.number('from');
  const nickname = message.get('sender-nickname') ?? '';
  const body = message.text().trimEnd();
  if (body === 'joined') {
    meet(uid, nickname);
    log.notice(around(WORDS.joined, nickname, uid));
  } else if (body.startsWith('nickname ')) {
    const now = body.slice('nickname '.length);
    meet(uid, now);
    log.notice(around((name) => WORDS.renamed(name, '\u0001'), nickname, uid, now));
  } else if (body.startsWith('left')) {
    part(uid);
    log.notice(around((name) => WORDS.left(name, body.replace(/^left:? ?/, '')), nickname, uid));
  }
}

/** The pieces of a sentence about a client: texts, and nicknames as elements that keep their direction. */
function around(sentence, nickname, uid, second = '') {
  return sentence('\u0000').split(/([\u0000\u0001])/).flatMap((piece) => {
    if (piece === '\u0000') return [element('bdi', '', nickname), ` ${uid}`];
    return piece === '\u0001' ? [element('bdi', '', second)] : [piece];
  });
}

function sendNickname(nickname) {
  link.ask('nickname', [], nickname, (response) => {
    if (response === undefined) return;
    if (response.ok) {
      room.nickname = response.text().trim();
      remember('nickname', room.nickname);
      if (room.uid !== undefined) meet(room.uid, room.nickname);
      showReceiver();
    } else {
      room.nickname = nickname === room.nickname ? '' : room.nickname;
      askToJoin(response.text().trim(), nickname);
    }
  });
}

// ---- 6. Log ------------------------------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, label, pressed) {
  const made = element('button', 'small', text);
  made.type = 'button';
  if (label !== text) made.setAttribute('aria-label', label);
  made.addEventListener('click', pressed);
  return made;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short' });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

function shownTime(time) {
  const isToday = new Date(time).toDateString() === new Date().toDateString();
  return isToday ? clock.format(time) : `${calendar.format(time)}, ${clock.format(time)}`;
}

/** A nickname and a UID, the nickname apart from what is around it. */
function nameOf(uid, nickname) {
  const name = nickname ? element('bdi', 'name', nickname) : element('span', 'name unnamed', WORDS.unnamed);
  name.classList.add(`hue-${(uid ?? 0) % 8}`);
  return [name, ' ', element('span', 'uid', uid === undefined ? WORDS.you : String(uid))];
}

/** The same as one string, for labels. */
function plainName(uid, nickname) {
  return `${nickname || WORDS.unnamed} ${uid}`;
}

const log = {
  box: $('log'),
  coming: [], // entries that are not on the screen yet, the oldest first
  articles: [], // on the screen, the oldest first
  notices: [],
  block: null, // the last block of lines
  entries: new WeakMap(), // by article
  isAtEnd: true, // the last message is on the screen, and following ones are to be
  lastTop: 0, // how far it was scrolled
  news: 0,
  isScheduled: false,

  message(entry) {
    let at = this.coming.length;
    if (entry.sequence !== undefined) {
      while (at > 0 && this.coming[at - 1].sequence > entry.sequence) at -= 1;
    }
    this.coming.splice(at, 0, entry);
    if (entry.isOwn) this.isAtEnd = true;
    if (!this.isAtEnd) this.news += 1;
    // What is so much that it would be removed at once is not made.
    if (this.coming.length > 2 * LOG_MESSAGES) this.coming.splice(0, this.coming.length - LOG_MESSAGES);
    this.schedule();
  },

  /** A line in small print. `parts` are texts and elements. */
  notice(parts, isImportant = false) {
    this.coming.push({ notice: parts, isImportant });
    if (this.coming.length > 2 * LOG_MESSAGES) this.coming.splice(0, this.coming.length - LOG_MESSAGES);
    this.schedule();
  },

  schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    const flush = () => {
      this.isScheduled = false;
      this.flush();
    };
    // A page that is not visible has no frames.
    if (document.hidden) setTimeout(flush, 200);
    else requestAnimationFrame(flush);
  },

  /** Makes what is coming, as much of it as one frame can bear. */
  flush() {
    const until = performance.now() + FRAME_WORK;
    const surplus = this.coming.length - LOG_MESSAGES;
    if (surplus > 0) this.coming.splice(0, surplus);
    let previous = this.articles[this.articles.length - 1];
    let count = 0;
    for (; count < this.coming.length && (count < FRAME_LINES || performance.now() < until); count += 1) {
      const entry = this.coming[count];
      if (entry.notice) {
        this.place(this.makeNotice(entry));
        previous = undefined;
        continue;
      }
      const article = makeArticle(entry);
      if (this.isOutOfOrder(entry)) {
        this.insert(article, entry);
        continue;
      }
      if (previous && follows(entry, this.entries.get(previous))) article.classList.add('follows');
      this.entries.set(article, entry);
      this.articles.push(article);
      this.place(article);
      previous = article;
    }
    this.coming.splice(0, count);
    $('empty').hidden = true;
    this.trim();
    this.follow();
    if (this.coming.length > 0) this.schedule();
  },

  /** Puts a line at the end. The lines are in blocks, and a block that is not on the screen costs nothing. */
  place(line) {
    if (this.block === null || this.block.childElementCount >= BLOCK_LINES) {
      this.block = element('div', 'block');
      $('lines').append(this.block);
    }
    this.block.append(line);
  },

  makeNotice({ notice, isImportant }) {
    const line = element('p', isImportant ? 'note important' : 'note');
    line.append(...notice);
    this.notices.push(line);
    return line;
  },

  /** One's own message can become known after one that the room has behind it. */
  isOutOfOrder(entry) {
    const last = this.articles[this.articles.length - 1];
    return entry.sequence !== undefined && last !== undefined && this.entries.get(last).sequence > entry.sequence;
  },

  /** The order of messages begins anew: what is here comes before all that follows. */
  forgetOrder() {
    for (const entry of this.coming) entry.sequence = undefined;
    for (const article of this.articles) this.entries.get(article).sequence = undefined;
  },

  insert(article, entry) {
    let at = this.articles.length;
    while (at > 0 && this.entries.get(this.articles[at - 1]).sequence > entry.sequence) at -= 1;
    this.articles[at]?.classList.remove('follows');
    this.articles[at]?.before(article);
    this.articles.splice(at, 0, article);
    this.entries.set(article, entry);
  },

  trim() {
    const surplus = [
      ...this.articles.splice(0, Math.max(0, this.articles.length - LOG_MESSAGES)),
      ...this.notices.splice(0, Math.max(0, this.notices.length - LOG_NOTICES)),
    ];
    for (const line of surplus) {
      if (line.contains(document.activeElement)) this.box.focus();
      forgetPreview(this.entries.get(line));
      const block = line.parentElement;
      line.remove();
      if (!block.hasChildNodes() && block !== this.block) block.remove();
    }
    if (surplus.length > 0) this.articles[0]?.classList.remove('follows');
  },

  /** Keeps the end on the screen, or tells how much is new below. */
  follow() {
    // Else the browser would keep in its place what is on the screen, where something above it changes.
    this.box.classList.toggle('following', this.isAtEnd);
    if (this.isAtEnd) {
      this.news = 0;
      this.box.scrollTop = this.box.scrollHeight;
      this.lastTop = this.box.scrollTop;
    }
    $('new').hidden = this.news === 0;
    $('new').textContent = WORDS.news(this.news);
  },

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    // Only a move upwards leaves the end: the end itself moves where something grows.
    if (scrollHeight - scrollTop - clientHeight < 40) this.isAtEnd = true;
    else if (scrollTop < this.lastTop) this.isAtEnd = false;
    this.lastTop = scrollTop;
    this.box.classList.toggle('following', this.isAtEnd);
    if (this.isAtEnd && this.news > 0) this.follow();
  },

  toEnd() {
    this.isAtEnd = true;
    this.follow();
  },
};

/** Whether an entry goes on where the one before ends, so that its sender need not be shown again. */
function follows(entry, before) {
  return entry.uid === before.uid && entry.nickname === before.nickname && entry.to === before.to
    && entry.isOwn === before.isOwn && entry.time - before.time < 3 * 60_000
    && new Date(entry.time).getMinutes() === new Date(before.time).getMinutes();
}

function makeArticle(entry) {
  const article = element('article', entry.isOwn ? 'message own' : 'message');
  if (entry.to !== undefined) article.classList.add('private');
  if (entry.uid === 0) article.classList.add('operator');
  const head = element('div', 'head');
  head.append(...nameOf(entry.uid, entry.nickname), ' ');
  if (entry.to !== undefined) head.append(element('span', 'alone', receiverOf(entry)), ' ');
  const time = element('time', 'muted', shownTime(entry.time));
  time.dateTime = new Date(entry.time).toISOString();
  time.title = fullTime.format(entry.time);
  head.append(time, ' ');
  const bubble = element('div', 'bubble');
  bubble.append(head);
  article.append(bubble);
  if (entry.file) {
    bubble.append(makeCard(entry));
    return article;
  }
  const text = element('div', 'text');
  text.dir = 'auto';
  text.append(...startAndRest(withLinks(entry.text)));
  const tools = element('div', 'tools');
  if (isLong(entry.text)) {
    article.classList.add('folded');
    tools.append(button(WORDS.showAll, WORDS.showAll, unfold));
  }
  if (entry.to !== undefined && !entry.isOwn) {
    tools.append(button(WORDS.answer, WORDS.answer, () => {
      talkTo(entry.uid, entry.nickname);
      $('message').focus();
    }));
  }
  const copy = button(WORDS.copy, WORDS.copy, (event) => copyText(entry.text, event.currentTarget));
  copy.classList.add('copy');
  bubble.append(text);
  if (tools.hasChildNodes()) bubble.append(tools);
  article.append(' ', copy);
  return article;
}

function receiverOf(entry) {
  if (entry.to === room.uid && !entry.isOwn) return WORDS.toYou;
  return WORDS.toOne(plainName(entry.to, people.get(entry.to)?.nickname));
}

function isLong(text) {
  return text.length > FOLD_LENGTH || text.split('\n', FOLD_LINES + 1).length > FOLD_LINES;
}

function unfold(event) {
  log.isAtEnd = false; // what is read stays in its place
  const isFolded = event.currentTarget.closest('article').classList.toggle('folded');
  event.currentTarget.textContent = isFolded ? WORDS.showAll : WORDS.showLess;
  log.scrolled();
}

// No white space, quotes, brackets, and nothing invisible that turns the direction of what is shown.
const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^\p{C}\u2066-\u2069]+/giu;

/** A text in pieces, its addresses as links. */
function withLinks(text) {
  const parts = [];
  let shown = 0;
  for (const match of text.matchAll(LINK)) {
    if (parts.length >= 2 * MOST_LINKS) break;
    const address = withoutPunctuation(match[0]);
    if (!isAddress(address)) continue;
    const link = element('a', '', address);
    link.href = address;
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
    parts.push(text.slice(shown, match.index), link);
    shown = match.index + address.length;
  }
  parts.push(text.slice(shown));
  return parts;
}

/**
 * Puts what lies far behind the start of a text into an element that is not laid out while the text is folded: some
 * texts cost a browser seconds (thousands of marks on one letter, of changes of direction).
 */
function startAndRest(parts) {
  const start = [];
  let left = FOLDED_LENGTH;
  while (parts.length > 0 && left > 0) {
    const part = parts.shift();
    const { length } = part.textContent ?? part;
    if (typeof part !== 'string' || length <= left) {
      start.push(part);
    } else {
      const isWithinLetter = (part.charCodeAt(left) & 0xfc00) === 0xdc00;
      const cut = isWithinLetter ? left - 1 : left;
      start.push(part.slice(0, cut));
      parts.unshift(part.slice(cut));
    }
    left -= length;
  }
  if (parts.length === 0) return start;
  const rest = element('span', 'rest');
  rest.append(...parts);
  return [...start, rest];
}

function isAddress(text) {
  if (text.length > LINK_LENGTH) return false;
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

/** An address without what belongs to the sentence around it. (In one pass: strangers choose how long it is.) */
function withoutPunctuation(address) {
  let open = 0; // brackets that are closed more often than opened
  for (const letter of address) open += letter === ')' ? 1 : letter === '(' ? -1 : 0;
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    if (last === ')' && open > 0) open -= 1;
    else if (!'.,;:!?*_~'.includes(last)) break;
  }
  return address.slice(0, end);
}

/** Copies without the clipboard API, which plain HTTP does not have. */
function copyText(text, pressed) {
  const helper = element('textarea', 'hidden');
  helper.value = text;
  helper.readOnly = true;
  pressed.after(helper);
  helper.select();
  const exactly = (event) => {
    event.clipboardData.setData('text/plain', text);
    event.preventDefault();
  };
  document.addEventListener('copy', exactly, { once: true });
  document.execCommand('copy');
  document.removeEventListener('copy', exactly);
  helper.remove();
  pressed.focus({ preventScroll: true });
  const tell = (isDone) => {
    pressed.classList.toggle('done', isDone);
    pressed.textContent = isDone ? WORDS.copied : WORDS.copy;
  };
  tell(true);
  setTimeout(tell, 1500, false);
}

// ---- 7. Files ----------------------------------------------------------------------------------------------------

function shownSize(bytes) {
  const round = (size) => (size < 10 ? Math.round(size * 10) / 10 : Math.round(size));
  if (bytes < 1024) return WORDS.bytes(bytes);
  if (bytes < 1024 * 1000) return WORDS.kilobytes(round(bytes / 1024));
  return WORDS.megabytes(round(bytes / 1024 / 1024));
}

/** What a file is called on the page: as its sharer has called it, or by its number. */
function shownName({ id, name, type }) {
  return name || `${id}.${type}`;
}

/** The name under which a file is saved: no folder, nothing hidden, and the ending that the room knows. */
function savedName({ id, name, type }) {
  const clean = name.replace(/[\p{Cc}\u2028\u2029/\\:*?"<>|\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '_')
    .replace(/[. ]+$/, '');
  const ending = `.${type.replace(/[^\w+.-]/g, '_')}`;
  if (clean === '') return `${id}${ending}`;
  return `${id} ${clean.toLowerCase().endsWith(ending.toLowerCase()) ? clean : clean + ending}`;
}

function makeCard(entry) {
  const { file } = entry;
  const name = shownName(file);
  const card = element('div', 'card');
  const kind = element('span', 'kind', file.type.split('.').pop().slice(0, 4));
  kind.setAttribute('aria-hidden', 'true');
  const about = element('div', 'about');
  const title = element('bdi', 'file-name', name);
  about.append(title, ' ', element('span', 'muted', shownSize(file.size)), ' ');
  const tools = element('div', 'tools');
  const complaint = element('p', 'problem');
  file.buttons = [button(WORDS.save, WORDS.saveName(name), (event) => {
    fetchFile(file, event.currentTarget, complaint, (blob) => saveBlob(blob, savedName(file)));
  })];
  if (PREVIEW_TYPES.has(file.type.toLowerCase()) && file.size <= PREVIEW_BYTES) {
    file.buttons.push(button(WORDS.show, WORDS.showName(name), (event) => {
      togglePreview(file, event.currentTarget, card, complaint);
    }));
  }
  file.complaint = complaint;
  tools.append(...file.buttons);
  card.append(kind, about, tools, complaint);
  return card;
}

/** Fetches a staged file; `use` gets it as a Blob. */
function fetchFile(file, pressed, complaint, use) {
  complaint.textContent = room.isReady ? '' : WORDS.fetchOffline;
  if (!room.isReady || file.isComing) return;
  const caption = pressed.textContent;
  file.isComing = true;
  pressed.setAttribute('aria-busy', 'true');
  link.ask('fetch', [], String(file.id), (response) => {
    file.isComing = false;
    pressed.removeAttribute('aria-busy');
    pressed.textContent = caption;
    if (response === undefined) complaint.textContent = WORDS.fetchLost;
    else if (!response.ok) complaint.textContent = response.text().trim();
    else use(new Blob(response.parts, { type: 'application/octet-stream' }));
  }, (has, length) => {
    if (length > 0) pressed.textContent = WORDS.fetching(Math.floor(100 * has / length));
  });
}

function saveBlob(blob, name) {
  const anchor = element('a');
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
}

function togglePreview(file, pressed, card, complaint) {
  const name = shownName(file);
  const label = (word, long) => {
    pressed.textContent = word;
    pressed.setAttribute('aria-label', long);
  };
  if (file.preview) {
    dropPreview(file);
    label(WORDS.show, WORDS.showName(name));
    return;
  }
  fetchFile(file, pressed, complaint, (blob) => {
    const image = element('img');
    image.alt = name;
    image.src = URL.createObjectURL(blob);
    image.addEventListener('load', () => log.follow());
    image.addEventListener('error', () => {
      dropPreview(file);
      label(WORDS.show, WORDS.showName(name));
      complaint.textContent = WORDS.noPicture;
    });
    file.preview = image;
    card.append(image);
    label(WORDS.hide, WORDS.hideName(name));
    log.follow();
  });
}

function dropPreview(file) {
  URL.revokeObjectURL(file.preview.src);
  file.preview.remove();
  file.preview = undefined;
}

function forgetPreview(entry) {
  if (entry?.file?.preview) dropPreview(entry.file);
}

/** After a restart of the server a File-ID may mean another file. */
function forgetFiles() {
  for (const article of log.articles) {
    const file = log.entries.get(article)?.file;
    if (!file) continue;
    for (const made of file.buttons) made.disabled = true;
    file.complaint.textContent = WORDS.fileGone;
  }
}

function largestFile() {
  return Number(room.features.get('max-file') ?? Infinity);
}

/** Shares files with all, or with the one talked to. */
async function shareFiles(files) {
  const to = talk.uid;
  for (const file of files) {
    const limit = largestFile();
    if (file.size > limit) {
      showProblem(WORDS.fileTooLarge(file.name, shownSize(file.size), shownSize(limit)));
      continue;
    }
    try {
      await file.slice(0, 1).arrayBuffer(); // a folder, or a file that is gone, is found here
    } catch {
      showProblem(WORDS.fileUnreadable(file.name));
      continue;
    }
    say({ to, toName: talk.name, text: '', file });
  }
}

/** The type under which a file is shared: what stands behind the last dot of its name. */
function typeOf(name) {
  const ending = name.slice(name.lastIndexOf('.') + 1);
  if (!name.includes('.') || !/^[A-Za-z0-9_+-]{1,32}$/.test(ending)) return 'bin';
  return ending.toLowerCase() === 'text' ? 'txt' : ending;
}

/** Whether the protocol has a way to say this name; a file is shared without it otherwise. */
function isFileName(name) {
  const length = toBytes.encode(name).length;
  return length > 0 && length <= 200 && name.trim() === name && !/^\.{1,2}$/.test(name)
    && !/[\p{Cc}/\\\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(name);
}

// ---- 8. Saying ---------------------------------------------------------------------------------------------------

// What was said and is not in the room yet. An item has `text` or `file`, `to` and `toName` for a private one, `state`
// (one of those below), `uid` under which it was sent, and `row` on the screen.
const unsent = [];
const SENDING = 'sending';
const UNCONFIRMED = 'unconfirmed';
const OFFLINE = 'offline';
const REFUSED = 'refused';
const PRIVATE_LOST = 'private lost';

/** A command of the client on a terminal, and `//` before what would be one. */
const COMMAND = /^\s*(\/\/?)(msg|nick|who|share|files|get|history|help|quit)(?=\s|$)/;

/** Says what stands in the message box. */
function sayMessage() {
  const box = $('message');
  let text = box.value;
  if (text.trim() === '') return;
  // Somebody who knows the terminal may take this for private.
  const command = COMMAND.exec(text);
  if (command && command[1] === '/') {
    showProblem(WORDS.command(command[2]));
    return;
  }
  if (command) text = text.trimStart().slice(1);
  const { length } = toBytes.encode(text);
  const limit = Number(room.features.get('max-text') ?? Infinity);
  if (length > limit) {
    showProblem(WORDS.tooLong(length, limit));
    return;
  }
  box.value = '';
  fitBox();
  showProblem('');
  say({ to: talk.uid, toName: talk.name, text });
}

function say(item) {
  unsent.push(item);
  sendItem(item);
}

function sendItem(item) {
  const { file } = item;
  item.state = room.isReady ? SENDING : OFFLINE;
  item.reason = '';
  item.sent = 0;
  item.uid = room.isReady ? room.uid : undefined;
  if (room.isReady) {
    const fields = item.to === undefined ? [] : [['To', item.to]];
    fields.push(['Content-Type', file ? typeOf(file.name) : 'text']);
    if (file && room.features.has('file-name') && isFileName(file.name)) fields.push(['File-Name', file.name]);
    link.ask('chat', fields, file ?? item.text, (response) => itemAnswered(item, response), (sent) => {
      item.sent = sent;
      showProgress(item);
    });
  }
  // Most texts are in the room within milliseconds: to show them as waiting would only flicker.
  if (item.state === SENDING && !file) setTimeout(showUnsent, PENDING_SHOWN);
  item.since = Date.now();
  showUnsent();
}

function itemAnswered(item, response) {
  if (response === undefined) {
    item.state = UNCONFIRMED;
  } else if (response.ok) {
    removeItem(item);
    // A message to oneself comes back as a relay.
    if (item.to === undefined || item.to !== room.uid) log.message(ownEntry(item, response));
  } else {
    refuseItem(item, response.text().trim());
  }
  showUnsent();
}

function ownEntry(item, response) {
  const { file } = item;
  return {
    uid: room.uid,
    nickname: room.nickname,
    to: item.to,
    isOwn: true,
    sequence: item.to === undefined ? ownPlace() : undefined,
    time: Date.now() + room.clockAhead,
    text: item.text,
    file: file && {
      id: response.number('file-id'),
      type: typeOf(file.name),
      size: file.size,
      name: room.features.has('file-name') && isFileName(file.name) ? file.name : '',
    },
  };
}

/** A refused text goes back to where it was written, unless something else stands there by now. */
function refuseItem(item, reason) {
  const box = $('message');
  if (item.file === undefined && item.to === talk.uid && box.value === '') {
    removeItem(item);
    box.value = item.text;
    fitBox();
    showProblem(WORDS.refused(reason));
  } else {
    item.state = REFUSED;
    item.reason = reason;
  }
}

function removeItem(item) {
  const index = unsent.indexOf(item);
  if (index >= 0) unsent.splice(index, 1);
  item.row?.remove();
}

/** A private text was for somebody whose UID may be somebody else's since the server was started again. */
function losePrivate(item) {
  if (item.to !== undefined) item.state = PRIVATE_LOST;
}

/** Whether a public message of the history is one that was said here, and whose response was lost. */
function confirmByHistory(relay) {
  const type = relay.get('content-type');
  const item = unsent.find(({ state, to, uid, text, file }) => {
    if (state !== UNCONFIRMED || to !== undefined || uid !== relay.number('from')) return false;
    if (file) return relay.fields.has('file-id') && type === typeOf(file.name) && relay.length === file.size;
    return !relay.fields.has('file-id') && relay.text() === text;
  });
  if (item) removeItem(item);
  return item !== undefined;
}

function showUnsent() {
  const list = $('unsent');
  const now = Date.now();
  for (const item of unsent) {
    const isDue = item.file || item.state !== SENDING || now - item.since >= PENDING_SHOWN - 20;
    if (isDue) showItem(item, list);
  }
  list.hidden = list.childElementCount === 0;
  if (log.isAtEnd) log.follow();
}

/** Shows an item of `unsent`, or shows it anew where something has changed. */
function showItem(item, list) {
  const shown = `${item.state} ${room.isReady} ${item.reason}`;
  if (item.row?.isConnected && item.shown === shown) return;
  item.shown = shown;
  const row = element('li', `unsent ${item.state === SENDING ? '' : 'marked'}`);
  if (item.to !== undefined) row.classList.add('private');
  const text = element('div', 'text', item.file ? item.file.name : item.text);
  text.dir = 'auto';
  const about = element('p', 'state', stateOf(item));
  row.append(text, about);
  if (item.file && item.state === SENDING) {
    item.bar = element('progress');
    item.bar.setAttribute('aria-label', WORDS.upload);
    item.bar.max = item.file.size || 1;
    row.append(item.bar);
  }
  if (item.state !== SENDING) {
    const tools = element('div', 'tools');
    if (item.state !== PRIVATE_LOST) {
      const again = button(WORDS.sendAgain, WORDS.sendAgain, () => {
        sendItem(item);
        $('message').focus();
      });
      again.disabled = !room.isReady;
      tools.append(again);
    }
    if (!item.file) {
      tools.append(button(WORDS.copy, WORDS.copy, (event) => copyText(item.text, event.currentTarget)));
    }
    tools.append(button(WORDS.discard, WORDS.discard, () => {
      removeItem(item);
      showUnsent();
      $('message').focus();
    }));
    row.append(tools);
  }
  if (item.row?.isConnected) item.row.replaceWith(row);
  else list.append(row);
  item.row = row;
  showProgress(item);
}

function stateOf(item) {
  const receiver = item.to === undefined ? '' : `${WORDS.forOne(item.toName)}. `;
  if (item.state === SENDING) return receiver + (item.file ? shownSize(item.file.size) : WORDS.sending);
  if (item.state === UNCONFIRMED) return receiver + WORDS.unconfirmed;
  if (item.state === OFFLINE) return receiver + WORDS.offline;
  return item.state === PRIVATE_LOST ? WORDS.privateLost(item.toName) : receiver + WORDS.refused(item.reason);
}

function showProgress(item) {
  if (item.bar && item.state === SENDING) item.bar.value = item.sent;
}

function showProblem(text) {
  $('problem').textContent = text;
}

/** Makes the message box as high as its text. */
function fitBox() {
  const box = $('message');
  box.style.height = 'auto';
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
  if (log.isAtEnd) log.follow();
}

// ---- 9. People ---------------------------------------------------------------------------------------------------

const people = new Map(); // who is here, by UID: { uid, nickname, row, press }
const order = []; // the same, as they are listed
const talk = { uid: undefined, name: '', pressed: undefined }; // the one talked to; nobody: all
const drafts = new Map(); // what was begun for one alone, by UID: { name, text }; it never turns up in another box

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Oneself first, then by nickname, then those without one. */
function compare(one, other) {
  if (one.uid === room.uid || other.uid === room.uid) return one.uid === room.uid ? -1 : 1;
  if (!one.nickname !== !other.nickname) return one.nickname ? -1 : 1;
  return collator.compare(one.nickname, other.nickname) || one.uid - other.uid;
}

function takeNames(answer) {
  setPeople(lines(answer).map((line) => {
    const space = line.indexOf(' ');
    return space < 0 ? [Number(line), ''] : [Number(line.slice(0, space)), line.slice(space + 1)];
  }), true);
}

/** Learns who is here: all of them. A list without names does not take those away that are known. */
function setPeople(list, hasNames = false) {
  const here = new Set();
  for (const [uid, nickname] of list) {
    here.add(uid);
    const known = people.get(uid);
    if (known === undefined) people.set(uid, { uid, nickname });
    else if (hasNames && known.nickname !== nickname) Object.assign(known, { nickname, row: dropRow(known) });
  }
  for (const person of [...people.values()]) {
    if (!here.has(person.uid)) {
      dropRow(person);
      people.delete(person.uid);
    }
  }
  order.splice(0, order.length, ...[...people.values()].sort(compare));
  const rows = order.map(rowOf);
  const shown = $('list').children;
  // Where nothing has changed nothing is touched: that keeps the focus.
  if (rows.length !== shown.length || rows.some((row, index) => row !== shown[index])) {
    const focused = document.activeElement?.closest('#list li');
    $('list').replaceChildren(...rows);
    if (focused?.isConnected) focused.firstElementChild.focus();
  }
  showCount();
}

function dropRow(person) {
  person.row?.remove();
  return undefined;
}

function rowOf(person) {
  if (person.row) return person.row;
  const row = element('li');
  const press = element('button');
  press.type = 'button';
  press.append(...nameOf(person.uid, person.nickname));
  press.setAttribute('aria-pressed', String(talk.uid === person.uid));
  press.addEventListener('click', () => {
    talkTo(person.uid, person.nickname);
    showPanel(false);
    $('message').focus();
  });
  row.append(press);
  if (person.uid === room.uid) row.append(element('span', 'muted', WORDS.you));
  person.row = row;
  person.press = press;
  return row;
}

/** Learns which of the people is oneself. */
function meetOneself(uid) {
  room.uid = uid;
  const known = people.get(uid);
  if (known) known.row = dropRow(known);
  setPeople([...people.values()].map((person) => [person.uid, person.nickname]));
}

/** Somebody is here, under this nickname. */
function meet(uid, nickname) {
  const known = people.get(uid);
  if (known && known.nickname === nickname) return;
  if (known) {
    order.splice(order.indexOf(known), 1);
    dropRow(known);
  }
  const person = { uid, nickname };
  people.set(uid, person);
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(order[middle], person) < 0) low = middle + 1;
    else high = middle;
  }
  $('list').insertBefore(rowOf(person), order[low]?.row ?? null);
  order.splice(low, 0, person);
  showCount();
}

function part(uid) {
  const person = people.get(uid);
  if (person === undefined) return;
  people.delete(uid);
  order.splice(order.indexOf(person), 1);
  dropRow(person);
  showCount();
}

function showCount() {
  $('count').textContent = String(people.size);
  $('people-count').textContent = String(people.size);
  showReceiver();
}

/** Talks to one alone, or to all (null). What was begun for one alone stays with that one. */
function talkTo(uid, nickname = '') {
  const box = $('message');
  if (talk.uid !== undefined && talk.uid !== uid) {
    if (box.value === '') drafts.delete(talk.uid);
    else drafts.set(talk.uid, { name: talk.name, text: box.value });
    box.value = '';
    showProblem('');
  }
  talk.uid = uid ?? undefined;
  talk.name = uid === null ? '' : plainName(uid, nickname);
  if (box.value === '' && drafts.has(talk.uid)) box.value = drafts.get(talk.uid).text;
  drafts.delete(talk.uid);
  showReceiver();
  fitBox();
}

/** The server was started again: what was begun for one alone can be copied, not said. */
function loseDrafts() {
  if (talk.uid !== undefined && $('message').value !== '') {
    drafts.set(talk.uid, { name: talk.name, text: $('message').value });
    $('message').value = '';
  }
  for (const [to, { name, text }] of drafts) {
    unsent.push({ to, toName: name, text, state: PRIVATE_LOST, reason: '', since: 0 });
  }
  drafts.clear();
}

/** Shows unmistakably who will read what is said. */
function showReceiver() {
  const isPrivate = talk.uid !== undefined;
  const known = people.get(talk.uid);
  if (known) talk.name = plainName(known.uid, known.nickname);
  const isGone = isPrivate && room.isReady && !known;
  document.body.classList.toggle('to-one', isPrivate);
  $('back').hidden = !isPrivate;
  setText($('receiver'), !isPrivate ? WORDS.toAll : isGone ? WORDS.onlyOneGone(talk.name) : WORDS.onlyOne(talk.name));
  $('message').placeholder = isPrivate ? WORDS.placeholderOne(talk.name) : WORDS.placeholderAll;
  if (talk.pressed === known) return;
  talk.pressed?.press?.setAttribute('aria-pressed', 'false');
  known?.press?.setAttribute('aria-pressed', 'true');
  talk.pressed = known;
}

/** Changes a text only where it changes: everything else would be told by screen readers again. */
function setText(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** The list of who is here, which a phone shows on demand. */
function showPanel(isShown) {
  document.body.classList.toggle('panel', isShown);
  $('people-button').setAttribute('aria-expanded', String(isShown));
}

/** Who has no nickname comes and goes without a notice: the page asks from time to time. */
function askWhoIsHere() {
  link.check();
  if (room.isReady && !document.hidden && link.requests.length === 0) {
    const names = room.features.has('names');
    link.ask('query', [], names ? 'names' : undefined, (answer) => {
      if (!answer?.ok) return;
      if (names) takeNames(answer);
      else setPeople(lines(answer).map((uid) => [Number(uid), '']));
    });
  }
  setTimeout(askWhoIsHere, 5000 + 50 * people.size);
}

// ---- 10. Attention -----------------------------------------------------------------------------------------------

let unread = 0;
let titleTimer = 0;
let sound = recall('sound');
let audio = null;
let lastSound = 0;
let trouble = 0;

function showTrouble(status) {
  trouble = status;
  showState();
}

function showState() {
  let text = WORDS.notConnected;
  if (room.isReady) {
    text = WORDS.connected;
    trouble = 0;
  } else if (link.wanted && trouble === 503) text = WORDS.reconnectingFull;
  else if (link.wanted && trouble === 403) text = WORDS.reconnectingRefused;
  else if (link.wanted) text = room.began || trouble ? WORDS.reconnecting : WORDS.connecting;
  setText($('state'), text);
  document.body.classList.toggle('offline', link.wanted && !room.isReady);
  document.body.classList.toggle('out', !link.wanted);
}

/** A message has come: counts it, where nobody looks, and sounds. */
function attend(entry) {
  if (document.hidden || !document.hasFocus()) {
    unread += 1;
    titleTimer ||= setTimeout(showTitle, 50);
  }
  if (sound === 'all' || (sound === 'private' && entry.to !== undefined)) playSound();
}

function looked() {
  if (document.hidden || !document.hasFocus() || unread === 0) return;
  unread = 0;
  showTitle();
}

function showTitle() {
  clearTimeout(titleTimer);
  titleTimer = 0;
  document.title = WORDS.title(location.host, unread);
}

function showSound() {
  if (!Object.hasOwn(WORDS.soundStates, sound)) sound = 'off';
  $('sound-state').textContent = WORDS.soundStates[sound];
  $('sound').classList.toggle('quiet', sound === 'off');
}

function nextSound() {
  const states = Object.keys(WORDS.soundStates);
  sound = states[(states.indexOf(sound) + 1) % states.length];
  remember('sound', sound);
  showSound();
  if (sound !== 'off') playSound();
}

/** Two short soft notes, at most once a second. */
function playSound() {
  if (Date.now() - lastSound < 1000) return;
  lastSound = Date.now();
  try {
    audio ??= new AudioContext();
    audio.resume();
    for (const [at, frequency] of [[0, 660], [0.09, 880]]) {
      const note = audio.createOscillator();
      const volume = audio.createGain();
      const start = audio.currentTime + at;
      note.frequency.value = frequency;
      volume.gain.setValueAtTime(0.08, start);
      volume.gain.exponentialRampToValueAtTime(0.001, start + 0.18);
      note.connect(volume).connect(audio.destination);
      note.start(start);
      note.stop(start + 0.2);
    }
  } catch (error) {
    console.warn(error); // no sound device: the room goes on without
  }
}

// ---- 11. Start ---------------------------------------------------------------------------------------------------

/** Small things are remembered where the browser allows it. */
function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch { /* the browser keeps nothing: it will be asked again */ }
}

function recall(key) {
  try {
    return localStorage.getItem(key) ?? '';
  } catch {
    return '';
  }
}

/** Asks for a nickname: before joining, or for another one while connected. */
function askToJoin(problem = '', nickname = undefined) {
  const isIn = room.isReady || link.isOpen;
  $('join').setAttribute('aria-label', isIn && problem === '' ? WORDS.rename : WORDS.join);
  $('nickname').value = nickname ?? (room.nickname || recall('nickname'));
  setText($('join-problem'), problem);
  $('join-submit').textContent = isIn && problem === '' ? WORDS.change : WORDS.join;
  $('join-skip').textContent = isIn && problem === '' ? WORDS.cancel : WORDS.joinSkip;
  if (!$('join').open) $('join').showModal();
  $('nickname').focus();
  $('nickname').select();
}

/** The dialog was answered. An empty nickname is none. */
function joinRoom(nickname) {
  if (link.isOpen) {
    if (nickname !== '' && nickname !== room.nickname) sendNickname(nickname);
  } else {
    room.nickname = nickname;
    connect();
  }
  $('join').close();
  $('message').focus();
}

function connect() {
  // A page that the browser loads on suspicion is nobody yet.
  if (document.prerendering) {
    document.addEventListener('prerenderingchange', connect, { once: true });
    return;
  }
  link.open();
  showState();
}

function showLimits() {
  const limit = largestFile();
  const isKnown = Number.isFinite(limit);
  setText($('share-limit'), isKnown ? WORDS.shareLimit(shownSize(limit)) : '');
  $('drop-limit').textContent = $('share-limit').textContent;
  $('share').title = isKnown ? WORDS.shareTitle(shownSize(limit)) : WORDS.share;
}

function fillWords() {
  for (const place of document.querySelectorAll('[data-word]')) place.textContent = WORDS[place.dataset.word];
  for (const place of document.querySelectorAll('[data-label]')) {
    place.setAttribute('aria-label', WORDS[place.dataset.label]);
  }
  const { host, hostname } = location;
  const isLocal = /^(localhost|127\..*|\[::1\]|.*\.localhost)$/.test(hostname);
  $('room').textContent = host;
  $('join-address').textContent = `http://${host}/`;
  $('join-where').textContent = isLocal ? WORDS.onlyHere : WORDS.tellOthers;
}

function listenToDialog() {
  const nickname = $('nickname');
  $('join-form').addEventListener('submit', (event) => {
    event.preventDefault();
    joinRoom(nickname.value.trim());
  });
  $('join-skip').addEventListener('click', () => joinRoom(link.isOpen ? room.nickname : ''));
  // An Enter that chooses a word of an input method is not one that joins.
  nickname.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && isComposing(event)) event.preventDefault();
  });
  $('join').addEventListener('cancel', (event) => {
    event.preventDefault();
    if (link.isOpen) joinRoom(room.nickname);
  });
  $('join').addEventListener('close', () => {
    if (!link.wanted) askToJoin();
  });
}

function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

function listenToComposer() {
  const box = $('message');
  $('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    sayMessage();
    box.focus();
  });
  // The keyboard of a phone stays.
  $('send').addEventListener('pointerdown', (event) => event.preventDefault());
  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey) return;
    event.preventDefault();
    if (!event.repeat && !isComposing(event)) sayMessage();
  });
  box.addEventListener('input', () => {
    showProblem('');
    fitBox();
  });
  $('back').addEventListener('click', () => {
    talkTo(null);
    box.focus();
  });
}

function listenToFiles() {
  $('share').addEventListener('click', () => $('files').click());
  $('files').addEventListener('change', () => {
    shareFiles([...$('files').files]);
    $('files').value = '';
  });
  document.addEventListener('paste', (event) => {
    const { files, types } = event.clipboardData;
    // Programs that copy a text often add a picture of it.
    if (files.length === 0 || types.includes('text/plain') || $('join').open) return;
    event.preventDefault();
    shareFiles([...files]);
  });
  let leaving = 0;
  document.addEventListener('dragover', (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    document.body.classList.toggle('dropping', !$('join').open);
    clearTimeout(leaving);
    leaving = setTimeout(() => document.body.classList.remove('dropping'), 300);
  });
  document.addEventListener('drop', (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    document.body.classList.remove('dropping');
    if (!$('join').open) shareFiles([...event.dataTransfer.files]);
  });
}

function listenToPage() {
  log.box.addEventListener('scroll', () => log.scrolled(), { passive: true });
  const resized = new ResizeObserver(() => log.follow());
  resized.observe(log.box);
  resized.observe($('lines'));
  $('new').addEventListener('click', () => {
    log.toEnd();
    $('message').focus();
  });
  $('sound').addEventListener('click', nextSound);
  $('rename').addEventListener('click', () => {
    showPanel(false);
    askToJoin();
  });
  $('people-button').addEventListener('click', () => {
    const isShown = !document.body.classList.contains('panel');
    showPanel(isShown);
    if (isShown) $('people-close').focus();
  });
  document.addEventListener('pointerdown', (event) => {
    if (!event.target.closest('#people, #people-button')) showPanel(false);
  });
  $('people-close').addEventListener('click', () => {
    showPanel(false);
    $('people-button').focus();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || isComposing(event) || $('join').open) return;
    if (document.body.classList.contains('panel')) showPanel(false);
    else if (talk.uid !== undefined) talkTo(null);
    $('message').focus();
  });
  document.addEventListener('visibilitychange', () => {
    looked();
    if (!document.hidden) link.hurry();
    link.check();
  });
  window.addEventListener('focus', looked);
  window.addEventListener('online', () => link.hurry());
  window.addEventListener('pagehide', () => {
    if (link.wanted) link.leave();
    wasIn = room.began;
  });
  // A page that comes back from the browser's cache was not loaded again.
  let wasIn = false;
  window.addEventListener('pageshow', (event) => {
    if (event.persisted && wasIn) connect();
  });
}

function start() {
  fillWords();
  showTitle();
  showSound();
  showState();
  showReceiver();
  showLimits();
  if (!('WebSocket' in window)) {
    document.body.replaceChildren(element('p', 'trouble', WORDS.noWebSocket));
    return;
  }
  listenToDialog();
  listenToComposer();
  listenToFiles();
  listenToPage();
  askToJoin();
  setTimeout(askWhoIsHere, 5000);
  $('trouble').remove(); // the sentence for browsers that do not come this far
}

start();
