/** Text for people, broken between words. */
#ifndef COVEY_JOBS_PARAGRAPH_H
#define COVEY_JOBS_PARAGRAPH_H

/** Print text, whose blanks are overwritten, from column `at` of a line that has
 *  been begun; further lines begin at indent. Ends with a line break. */
void cv_print_words(int at, int indent, int width, char *text);

#endif
