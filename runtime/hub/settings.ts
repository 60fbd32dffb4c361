import { inputFailure } from './failures.ts';

/** Which hub is asked, and as whom. */
export interface HubSettings {
  /** `https://huggingface.co` or another hub of the same protocol; no slash at its end. */
  readonly endpoint: string;
  /** Scheme, host and port of the endpoint: the only place that may see the token. */
  readonly origin: string;
  readonly token: string | null;
  /** What the user should know, one line each. */
  readonly notes: readonly string[];
}

const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** `HF_ENDPOINT` and `HF_TOKEN`. Throws `HUB_INPUT_INVALID`; the message never holds the token. */
export function hubSettings(env: NodeJS.ProcessEnv): HubSettings {
  const url = endpointUrl((env['HF_ENDPOINT'] ?? '').trim() || DEFAULT_ENDPOINT);
  const endpoint = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  const token = readToken((env['HF_TOKEN'] ?? '').trim());
  const isPrivate = url.protocol === 'https:' || isLoopback(url.hostname);
  if (token === null || isPrivate) return { endpoint, origin: url.origin, token, notes: [] };
  const note = `HF_TOKEN is not sent, because ${endpoint} is plain http.`;
  return { endpoint, origin: url.origin, token: null, notes: [note] };
}

function endpointUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isWeb = url !== null && (url.protocol === 'https:' || url.protocol === 'http:');
  if (isWeb && url.username === '' && url.password === '' && url.search === '' && url.hash === '') return url;
  throw inputFailure(
    'HF_ENDPOINT',
    'HF_ENDPOINT is to be an address such as https://huggingface.co, without user, password, query or fragment.',
  );
}

function readToken(text: string): string | null {
  if (text === '') return null;
  // An unprintable character would end up, token and all, in the message of whoever builds the header.
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw inputFailure(
    'HF_TOKEN',
    'HF_TOKEN holds spaces or characters that no token has. Copy it again from the settings of your account.',
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}
