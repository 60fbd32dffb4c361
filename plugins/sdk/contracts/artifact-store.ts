/** The artifact store: immutable objects, finished actions, scratch and checkpoints of steps, and what runs need of them. */
import type { z } from 'zod';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';

/** Immutable bytes by digest: the part of the store that steps and reports work with. */
export interface ArtifactObjectsV1 {
  /** Folders on this machine that hold the files of `localPath` and `localFolder`: a sandboxed reader must be allowed to open them. */
  readonly readableRoots: readonly string[];
  /** Stores bytes; storing the same bytes twice is free. */
  putBytes(bytes: Uint8Array, mediaType: string): Promise<ArtifactRef>;
  /** Stores a JSON value in its canonical form. */
  putJson(value: unknown): Promise<ArtifactRef>;
  /** Copies a file in; the file stays where it is. */
  putFile(path: string, mediaType: string): Promise<ArtifactRef>;
  /** Packs every file of a folder (deterministically) into one artifact. */
  putFolder(path: string): Promise<ArtifactRef>;
  /** Whether the artifact is there and whole, with all files of a packed folder. Counts as a use of each. */
  has(ref: ArtifactRef): Promise<boolean>;
  /** Path of a read-only local copy. Throws `ARTIFACT_MISSING`, or `ARTIFACT_DAMAGED` when the bytes do not fit the digest. */
  localPath(ref: ArtifactRef): Promise<string>;
  /** Path of a local folder that holds the files packed by `putFolder`; they are read-only. */
  localFolder(ref: ArtifactRef): Promise<string>;
  /** The bytes. Throws like `localPath`. */
  readBytes(ref: ArtifactRef): Promise<Buffer>;
  /** The JSON value. Throws like `localPath`; `ARTIFACT_DAMAGED` also when the bytes are no JSON. */
  readJson(ref: ArtifactRef): Promise<unknown>;
}

/** Ids of a run as Temporal has them: the user's own, any text of any length. */
export interface RunIds {
  readonly namespace: string;
  readonly workflowId: string;
  /** First run of a chain of runs that continue as new, so that they share what they made. A run started later has another. */
  readonly firstRunId: string;
}

/** Which step of which run. */
export interface StepPlace extends RunIds {
  readonly nodeId: string;
}

/** A finished action: what a step gave, under the key of everything that it depends on. */
export interface StoredAction {
  /** Hexadecimal. */
  readonly key: string;
  /** `name@major` of the step kind. */
  readonly kind: string;
  readonly output: JsonObject;
  /** Wall seconds of the attempt that made it. */
  readonly seconds: number;
}

/** What one Activity of a run took and gave: kept for as long as the run is. */
export interface RunUse {
  /** Ids of the Activity, so that each has a note of its own. */
  readonly activity: readonly string[];
  /** Key of the action. */
  readonly action?: string;
  readonly references: readonly ArtifactRef[];
}

/**
 * Complete checkpoints of one action, wherever its attempts ran: in this run, in another run, on another host. A
 * complete checkpoint is a folder `checkpoint-<step>` whose `manifest.json` is written last and that nobody changes.
 */
export interface CheckpointsV1 {
  /** Folder of this attempt, inside its scratch folder, for its checkpoints; not made yet. */
  readonly folder: string;
  /** Step of the newest complete checkpoint of every earlier attempt of the step in this run, newest attempt first; 0: none. */
  earlierSteps(): Promise<readonly number[]>;
  /** Brings complete checkpoints of the attempt of an equal action that got furthest into `folder`. Returns how many. */
  restore(): Promise<number>;
  /** Keeps the complete checkpoint of this step, which is in `folder`. One that its trainer removes meanwhile is not kept. */
  save(step: number): Promise<void>;
}

/** One attempt of a step. */
export interface ScratchV1 {
  /** Folder of this attempt on this machine, empty at its start. Attempts never share a folder. */
  readonly attemptDir: string;
  readonly checkpoints: CheckpointsV1;
  /** After success: removes what this attempt and earlier ones left; later ones may be at work. */
  finish(): Promise<void>;
}

/** What was removed, or would be. */
export interface Removed {
  readonly count: number;
  readonly sizeBytes: number;
}

/** A run that has not ended, and everything that its history refers to. */
export interface OpenRunUse {
  readonly run: RunIds;
  readonly references: readonly ArtifactRef[];
}

/** What is kept. A run is kept when it is open, at work, among the newest ones, or was used lately. */
export interface CleanOptions {
  /** How many of the newest runs are kept in any case. */
  readonly keepRuns: number;
  /** What was used within this time is kept in any case; never less than an hour. */
  readonly olderThanMs: number;
  readonly dryRun: boolean;
  /** Artifacts that something outside of the store refers to, such as reports. */
  readonly references: readonly ArtifactRef[];
  /** Without a server null: then age, number and live holds decide. */
  readonly openRuns: readonly OpenRunUse[] | null;
  readonly nowMs: number;
}

/** What cleaning removed. */
export interface CleanResult {
  readonly runs: Removed;
  readonly actions: Removed;
  readonly objects: Removed;
  /** Local copies of packed folders. */
  readonly folders: Removed;
  readonly keptRuns: number;
}

/** A store: everything that workers, clients and commands keep. */
export interface ArtifactStoreV1 extends ArtifactObjectsV1 {
  readonly specificationVersion: 'v1';
  /** Where the store is, for messages: a folder, an address. */
  readonly location: string;
  /** Every folder on this machine in which the store keeps files: closed to paths that specs name. */
  readonly localRoots: readonly string[];
  /** Twelve hexadecimal digits that identify this store; a copy of it has others. The first call makes them. */
  storeId(): Promise<string>;
  /** The finished action of a key, null when there is none or it is torn. Counts as a use. */
  getAction(key: string): Promise<StoredAction | null>;
  /** Stores a finished action; replaces one of the same key. */
  putAction(action: StoredAction): Promise<void>;
  /** Opens a new attempt of a step. `key`: key of the action, under which equal actions find its checkpoints. */
  openScratch(place: StepPlace, key: string): Promise<ScratchV1>;
  /** Notes what an Activity of a run took and gave. */
  noteUse(run: RunIds, use: RunUse): Promise<void>;
  /** Runs an Activity's work: meanwhile nothing of the run is removed, nor what anybody used since the work began. */
  withHold<T>(run: RunIds, work: () => Promise<T>): Promise<T>;
  /** Removes what processes that were killed left behind. Returns how many things. */
  sweep(): Promise<number>;
  /** Removes what no kept run needs. Several may clean at once, beside workers. */
  clean(options: CleanOptions): Promise<CleanResult>;
  /** How much the store takes, in bytes. */
  usage(): Promise<number>;
  /** Ends connections and removes temporary local copies. */
  close(): Promise<void>;
}

/** What a store is opened with beside its options. */
export interface StoreEnvironment {
  /** The home folder, absolute: `ESCADA_HOME`. */
  readonly home: string;
}

/** A kind of store that a plugin brings; settings choose it by its id. */
export interface ArtifactStoreFactoryV1<Options = unknown> {
  readonly specificationVersion: 'v1';
  readonly id: string;
  readonly optionsSchema: z.ZodType<Options>;
  /** Opens the store. What has to be connected is connected at the first use. */
  open(options: Options, environment: StoreEnvironment): ArtifactStoreV1;
}
