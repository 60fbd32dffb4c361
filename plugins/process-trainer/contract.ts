/** Name of this plugin. Pure: workflow code may import it. */
export const PLUGIN_NAME = 'process-trainer';
