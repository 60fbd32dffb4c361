/** Union-find over texts. The representative of a set is its smallest number. */
export class Clusters {
  readonly #parents: Int32Array;

  constructor(texts: number) {
    this.#parents = Int32Array.from({ length: texts }, (_, text) => text);
  }

  root(text: number): number {
    const parents = this.#parents;
    let at = text;
    for (let up = parents[at] ?? at; up !== at; up = parents[at] ?? at) {
      const over = parents[up] ?? up;
      parents[at] = over;
      at = over;
    }
    return at;
  }

  join(a: number, b: number): void {
    const [left, right] = [this.root(a), this.root(b)];
    if (left < right) this.#parents[right] = left;
    else this.#parents[left] = right;
  }

  roots(): Int32Array {
    return this.#parents.map((_, text) => this.root(text));
  }
}
