import type { CheckpointsV1 } from '../../sdk/contracts/artifact-store.ts';

/** Hands complete checkpoints to the store beside a training, which does not wait for them. */
export class CheckpointSaver {
  readonly #checkpoints: CheckpointsV1;
  readonly #warn: (message: string) => void;
  #newest = 0;
  #saved = 0;
  #saving: Promise<void> | null = null;

  /** `warn` gets a line for each checkpoint that could not be kept: the training itself needs none. */
  constructor(checkpoints: CheckpointsV1, warn: (message: string) => void) {
    this.#checkpoints = checkpoints;
    this.#warn = warn;
  }

  /** A checkpoint is complete. While one is being saved, only the newest of those that follow is saved after it. */
  completed(step: number): void {
    this.#newest = Math.max(this.#newest, step);
    if (this.#newest <= this.#saved) return;
    this.#saving ??= this.#saveAll().finally(() => (this.#saving = null));
  }

  /** Nothing more is saved after what is being saved now. */
  stop(): void {
    this.#newest = this.#saved;
  }

  /** Waits for what is being saved. */
  async settled(): Promise<void> {
    await this.#saving;
  }

  async #saveAll(): Promise<void> {
    while (this.#saved < this.#newest) {
      const step = this.#newest;
      await this.#checkpoints.save(step).catch((error: unknown) => {
        this.#warn(
          `checkpoint ${step} was not stored: ${error instanceof Error ? error.message : String(error)}`,
        );
      });
      this.#saved = step;
    }
  }
}
