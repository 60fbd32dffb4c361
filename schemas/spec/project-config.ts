import { z } from 'zod';
import { atMostMembers, nameTextSchema, optionsSchema, pathTextSchema } from '../common/texts.ts';

/** Name of the configuration file in a project's folder. */
export const PROJECT_CONFIG_FILE = 'escada.config.json';

/** Most plugin packages of a project. */
const MAX_PLUGINS = 100;

/** A plugin package, with the options that its plugin gets. */
export const pluginEntrySchema = z.strictObject({
  /** Package in the `node_modules` of the file's folder or of one above it, or a path that starts with `./` or `../`. */
  package: pathTextSchema,
  options: optionsSchema.optional(),
});

/** What is used where a spec or an option names nothing; each is the id of something that a plugin brings. */
export const defaultsSchema = z.strictObject({
  /** Provider of the language model. */
  provider: nameTextSchema.optional(),
  /** Id of the model, as the provider knows it. */
  model: pathTextSchema.optional(),
  retriever: nameTextSchema.optional(),
  trainer: nameTextSchema.optional(),
});

/** Which artifact store a project uses. */
export const storeChoiceSchema = z.strictObject({
  /** Id of a kind of store that a plugin brings. */
  use: nameTextSchema,
  /** Options of that kind. */
  options: optionsSchema.optional(),
});

/** The configuration file of a project: worker, client and commands read the same one. */
export const projectConfigSchema = z.strictObject({
  /** Address of the JSON Schema, for editors. */
  $schema: z.string().optional(),
  /** Plugin packages in the order in which they register, after the built-in plugins. */
  plugins: z.array(pluginEntrySchema).max(MAX_PLUGINS).default([]),
  /** Options of built-in plugins, by plugin name. */
  options: atMostMembers(z.record(z.string().max(200), optionsSchema), MAX_PLUGINS).default({}),
  defaults: defaultsSchema.prefault({}),
  /** The artifact store; default: files in the home folder. */
  store: storeChoiceSchema.optional(),
});

export type PluginEntry = z.infer<typeof pluginEntrySchema>;
export type PluginDefaults = z.infer<typeof defaultsSchema>;
export type StoreChoice = z.infer<typeof storeChoiceSchema>;
export type ProjectConfig = z.infer<typeof projectConfigSchema>;
