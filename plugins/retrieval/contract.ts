/** Id of the retriever that ranks by shared words. */
export const LEXICAL_RETRIEVER = 'lexical';
