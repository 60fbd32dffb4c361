// Words that do not come back: public values, messages and identifiers that have a standard term in the field, each
// with what to write instead. `node tools/architecture/words-report.ts` prints where they are, a test keeps them out.

/**
 * @typedef {object} Word
 * @property {string} id
 * @property {RegExp} pattern Global; matched against each line of a file, and against its path.
 * @property {string} use What to write instead.
 * @property {RegExp} [within] Only files whose path matches; default: all that are read.
 * @property {Record<string, string>} [allow] Why a file may hold it, by the start of its path.
 * @property {true} [pending] Still in the tree: reported, not refused. The list of these only gets shorter.
 */

const PROSE = /\.(ts|mjs|md|rs)$/;
const RUNS = 'the text of rows and of invented products is data, not ours';

/** @type {Word[]} */
export const WORDS = [
  { id: 'vice', pattern: /\b[vV]ices?\b|\bfindVices\b/g, use: 'degenerate outputs' },
  { id: 'all weights', pattern: /\ball weights\b/gi, use: 'full fine-tuning' },
  {
    id: 'words of a vocabulary',
    pattern: /gguf-words|-words\.json\b|\bstruct Words\b|shape, words and/g,
    use: 'tokenizer, vocabulary',
  },
  { id: 'Words', pattern: /\binterface Words\b|\bwords\(/g, use: 'AltText; userText()' },
  {
    id: 'Shelf',
    pattern: /\bShelf\b|\bPart(?:Sort|Names)\b|part-names\b/g,
    use: 'NamedRegistry, ComponentKind, ComponentRefs',
  },
  {
    id: 'TrainedModel as the base',
    pattern: /\binterface TrainedModel\b/g,
    within: /^plugins\/sdk\//,
    use: 'BaseModel; TrainedModel is the result',
  },
  {
    id: 'wanted',
    pattern: /\bwanted(?:Tokens|_tokens)?\b/g,
    within: /^(plugins\/(steps|sdk|nf4-lora\/worker|process-trainer)|core|schemas|workflows)\/.*\.ts$/,
    use: 'reference, referenceTokens',
    allow: {
      'plugins/sdk/schema-check/': 'the field that was meant',
      'core/store/': 'the file that was asked for',
      'core/decide/statistics/': 'how many resamples a bound takes',
    },
  },
  {
    id: 'choose fixed or similar',
    pattern: /\bchoose['"]?: |['"]similar['"]/g,
    use: "selection: 'random' | 'nearest'",
  },
  {
    id: 'holds',
    pattern: /\bholds['"]?: ['"](?:document|pair)s?['"]/g,
    use: "indexed: 'documents' | 'examples'",
  },
  {
    id: 'is, than',
    pattern: /\bthan['"]?: |\bis['"]?: ['"](?:[<>]=?|[=!]=)['"]/g,
    use: '{ fact, op, value }',
  },
  {
    id: 'MOST_, LONGEST_, FEWEST_',
    pattern: /\b(?:MOST|LONGEST|FEWEST|SHORTEST|LEAST)_[A-Z]\w*|\bmostDrift\b|most-drift/g,
    use: 'MAX_…, MIN_…, --max-drift',
  },
  {
    id: 'greet',
    pattern: /\b(?:doG|g)reet(?:s|ed|ing)?\b|\bfell silent\b/g,
    use: 'probe, handshake',
    allow: {
      'test/plugin/': "an activity of a host's own",
      'test/package/': "a workflow of a host's own",
    },
  },
  {
    id: 'PassingFault',
    pattern: /\b(?:PassingFault|isHopeless|goesOn|startAnew|gotFurther|dropStrangers)\b|\btame\(/g,
    use: 'TransientError, isPermanent, canResume, restart, madeProgress, removeUnlistedFiles, sanitizeForTerminal',
  },
  {
    id: 'resumes: exact',
    pattern: /\bresumes['"]?: ?['"`]?(?:exact|close|never)\b/g,
    use: "resume: 'bitwise' | 'approximate' | 'none'",
  },
  {
    id: 'recompute-mlp',
    pattern: /['"]recompute-mlp['"]|keep for the backward pass/g,
    use: "activation checkpointing: 'none' | 'mlp' | 'full' | 'auto'",
  },
  {
    id: 'packing in other words',
    pattern: /never see each other/g,
    use: 'sequence packing: attention is masked between them',
  },
  {
    id: 'likeliest',
    pattern: /\blikeliest\b/g,
    use: 'top-k sampling; greedy decoding; repetition penalty',
  },
  {
    id: 'a comment that begins with Of',
    pattern: /\/\*\* Of (?:the\b|`|a\b)|['"]Of (?:the\b|`)/g,
    within: /\.(ts|mjs|json)$/,
    use: 'begin with the noun: "SHA-256 of …", "NF4 only: …"',
  },
  {
    id: 'the house',
    pattern: /\bthe house\b|\barrows of\b|\bstor(?:y|ies) of\b|\bwhole story\b/gi,
    use: 'repository layout, import rules, examples',
    allow: { 'examples/product-descriptions/': RUNS },
  },
  {
    id: "a person's word",
    pattern: /\bperson's word\b|\bAnswer what a run asks\b/g,
    use: 'approval gate, pending approval',
  },
  {
    id: 'nothing waits',
    pattern: /\bnothing waits\b|\bto say no\b|\bbe climbed\b|\? .* Answer with\b/gi,
    use: '"No pending approvals.", reject, "Run the peft rung?", "Approval needed: …"',
  },
  {
    id: 'climb',
    pattern: /\bclimb(?:s|ed|ing)?\b|\b(?:run)?Climb[A-Z]?\w*/gi,
    use: 'run, adaptation; "run a rung"; ladder and rung stay as nouns',
  },
  {
    id: 'a model for other programs',
    pattern: /as a model for other programs/g,
    use: 'Export the winning model (GGUF, safetensors or bitsandbytes)',
  },
  {
    id: 'nobody polls',
    pattern: /\bnobody polls\b|would wait for ever/gi,
    use: 'No worker is polling task queue X; the run would never start.',
  },
  {
    id: 'hub messages',
    pattern: /or not any more\b|is not in its protocol|next page is none|is for a repository, ORG/g,
    use: '"The hub is unreachable or stopped responding.", "Unexpected response from the hub", "invalid next-page URL"',
  },
  {
    id: 'error texts',
    pattern: /was to hold labels|do not fit its digest|Report it with the message/g,
    use: '"The label column contains free text.", "The artifact does not match its digest.", "This is a bug: …"',
  },
  {
    id: 'step options',
    pattern: /counts by itself how often|server's word for|A no changes the verdict/g,
    use: '"resumable steps count attempts without progress themselves", "0 means unlimited", "A rejection …"',
  },
  {
    id: 'curation texts',
    pattern:
      /rows of small classes come again|slip of the pen|five words and more|Jaccard of `threshold`|three-letter pieces/g,
    use: 'undersample, oversample; mislabelled row; "five or more words"; "Jaccard similarity ≥"; character trigrams',
  },
  {
    id: 'report titles',
    pattern:
      /Ask with instructions only|Show examples in the prompt|Look facts up|\bpassed[ -]over\b|want of time/gi,
    use: 'Zero-shot prompting; Few-shot prompting (ICL); Retrieval-augmented generation (RAG); skipped rungs; the budget ran out',
  },
  {
    id: 'file names',
    pattern:
      /\b(?:own-files|checked-lora-config|cpu-kind)\b|shared\/surface\b|\/control\.ts\b|rungs\/contract\.ts|\b(?:with)?Duck\b/g,
    use: 'package-paths, check-train-config, curation-step, unwrap-failure, control-activities, rung-plan, StepDatabase',
  },
  {
    id: 'doc comments of row 30',
    pattern: /wants people to know|no affair of the engine|in the words and codes of those/g,
    use: '"Training warnings", "Not sent: …", "Failures in the caller\'s error codes"',
  },
  { id: 'told', pattern: /\btold\b/gi, within: PROSE, use: 'reported, said in the message' },
  {
    id: 'tell',
    pattern: /\btell(?:s|ing)?\b/g,
    within: /^(?!CHANGELOG|plugins\/nf4-lora\/engine\/).*\.(ts|mjs|md)$/,
    use: 'reports, says',
    allow: { 'test/plugins/curation/paraphrase.test.ts': RUNS },
  },
  {
    id: 'stands',
    pattern: /\bstands?\b/gi,
    within: PROSE,
    use: 'is',
    allow: { 'tools/reference/letters.ts': RUNS },
  },
  {
    id: 'goes on',
    pattern: /\b(?:go|goes|going|went) on\b/gi,
    within: PROSE,
    use: 'continues',
  },
  { id: 'lies', pattern: /\blies\b/gi, within: PROSE, use: 'is' },
  { id: 'anew', pattern: /\banew\b/gi, within: PROSE, use: 'again' },
  {
    id: 'for ever',
    pattern: /\bfor ever\b/g,
    within: PROSE,
    use: 'for good, always, without end',
  },
];

/** What is read: sources, pages and published schemas. */
export const READ = ['**/*.{ts,mjs,js,md,rs}', 'schemas/generated/*.json', 'examples/*/*.json'];

/** Never read: what others wrote, what a machine wrote, data, and this list itself. */
export const NOT_READ =
  /(^|\/)(node_modules|target|dist|\.escada)\/|^test\/fixtures\/|^examples\/[^/]+\/(data|lexicon)\/|^tools\/architecture\/words|^test\/architecture\/words/;

/**
 * The hits of one word in one file: its path (line 0) and its lines.
 * @param {Word} word
 * @param {string} file Relative to the repository root, with forward slashes.
 * @param {string} text
 * @returns {{ file: string, line: number, text: string }[]}
 */
export function hitsOf(word, file, text) {
  if (word.within !== undefined && !word.within.test(file)) return [];
  if (Object.keys(word.allow ?? {}).some((start) => file.startsWith(start))) return [];
  const finds = (/** @type {string} */ line) => line.search(word.pattern) >= 0;
  const hits = text
    .split('\n')
    .map((line, at) => ({ file, line: at + 1, text: line.trim() }))
    .filter(({ text: line }) => finds(line));
  return finds(file) ? [{ file, line: 0, text: file }, ...hits] : hits;
}
