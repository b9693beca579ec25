// One account on one of the vendor's SDKs.
import { Events } from './events.mjs';

const HEARD = [
  'onConnected',
  'onDisconnected',
  'onError',
  'onReconnecting',
  'onTokenWillExpire',
  'onTokenExpired',
  'onTextMessage',
  'onCmdMessage',
  'onCustomMessage',
  'onLocationMessage',
  'onImageMessage',
  'onAudioMessage',
  'onVideoMessage',
  'onFileMessage',
  'onCombineMessage',
  'onDeliveredMessage',
  'onReadMessage',
  'onChannelMessage',
  'onRecallMessage',
  'onModifiedMessage',
  'onGroupEvent',
  'onChatroomEvent',
  'onPresenceStatusChange',
];

export class Account {
  constructor(sdk, server, user, options = {}) {
    this.user = user;
    this.sdk = sdk;
    this.events = new Events(user);
    this.connection = new sdk.connection({
      appKey: server.app_key,
      apiUrl: server.rest_url,
      url: server.socket_url,
      isHttpDNS: false,
      https: false,
      isFixedDeviceId: false,
      autoReconnectNumMax: 25,
      ...options,
    });
    const hear = (event) => [event, (value) => this.events.push({ event, type: value?.type, value })];
    this.connection.addEventHandler('test', Object.fromEntries(HEARD.map(hear)));
    server.leaving.push(() => this.connection.close());
  }

  /** Logs in by the password that `LocalServer.user` gives. */
  async open() {
    const answer = await this.connection.open({ user: this.user, pwd: `pw-${this.user}` });
    await this.events.next('onConnected');
    return answer;
  }

  async openByToken(accessToken) {
    const answer = await this.connection.open({ user: this.user, accessToken });
    await this.events.next('onConnected');
    return answer;
  }

  /** What was shown for the message of this id, passing over others. */
  async shown(event, id) {
    for (;;) {
      const { value } = await this.events.next(event);
      if (value.id === id) return value;
    }
  }

  sendText(to, msg) {
    return this.send({ type: 'txt', to, msg });
  }

  sendCommand(to, action) {
    return this.send({ type: 'cmd', to, action });
  }

  /** Sends what `message.create` of the SDK takes, to a user unless it says otherwise. */
  send(message) {
    return this.connection.send(this.sdk.message.create({ chatType: 'singleChat', ...message }));
  }
}
