import type { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { accessFailure, answerFailure, notFoundFailure, sanitizeForTerminal } from './failures.ts';
import type { HubAnswer } from './hub-answer.ts';
import type { HubTarget } from './repository.ts';
import type { HubSettings } from './settings.ts';

/**
 * What an answer that is neither a success nor a passing fault means for the user. `path` is the file that was asked
 * for, if one was.
 */
export function refusal(
  answer: HubAnswer,
  { repository, revision }: HubTarget,
  { endpoint, token }: HubSettings,
  path: string | null = null,
): EscadaFailure {
  const { status, headers } = answer;
  const code = headers.get('x-error-code') ?? '';
  const said = sanitizeForTerminal(headers.get('x-error-message') ?? '');
  const fields = { repository, revision, status, errorCode: sanitizeForTerminal(code) };
  const page = `${endpoint}/${repository}`;
  if (code === 'GatedRepo') {
    const first =
      token === null ? 'set HF_TOKEN to a token of your account' : 'your HF_TOKEN has no access yet';
    return accessFailure(
      `${repository} is gated: ask for access on ${page}; ${first}.${quoted(said)}`,
      fields,
    );
  }
  if (status === 401 && /credentials/i.test(said)) {
    return accessFailure(
      `The hub does not know this HF_TOKEN. Make a new one, or unset it.${quoted(said)}`,
      fields,
    );
  }
  if (code === 'RevisionNotFound') {
    return notFoundFailure(
      `${repository} has no revision ${revision}. Its revisions: ${page}/branches.`,
      fields,
    );
  }
  if (code === 'EntryNotFound' && path !== null) {
    return notFoundFailure(
      `${repository} at ${revision} has no ${path}. Its files: ${page}/tree/${revision}.`,
      fields,
    );
  }
  // Without a token a private repository looks like a missing one: both are 401.
  if (status === 404 || code === 'RepoNotFound' || (status === 401 && token === null)) {
    const hint = token === null ? ', or it is private: then set HF_TOKEN' : ' that this HF_TOKEN may see';
    return notFoundFailure(`There is no repository ${repository} on ${endpoint}${hint}.`, fields);
  }
  if (status === 401 || status === 403) {
    return accessFailure(
      `${repository} may not be read with this HF_TOKEN (HTTP ${status}).${quoted(said)}`,
      fields,
    );
  }
  return answerFailure(`HTTP ${status} for ${path ?? repository}${said === '' ? '' : `: ${said}`}`, fields);
}

function quoted(said: string): string {
  return said === '' ? '' : ` The hub says: “${said}”`;
}
