/** Names of this plugin that plans and specs may use. Pure: workflow code may import it. */
export const PLUGIN_NAME = 'nf4-lora';

/** Id under which the trainer is registered. */
export const TRAINER_ID = 'nf4-lora';

/** Id under which the model provider is registered. */
export const PROVIDER_ID = 'nf4-lora';
