/** What headers name as their writer. */
export const TOOL = 'fitdoc';
