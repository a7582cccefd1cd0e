/** Progress of a long run on stderr: one live line on a terminal, one plain
 *  line per round anywhere else.
 *
 *  Under mpirun a rank's stdout always looks like a terminal and its stderr
 *  never does, so `auto` asks what mpirun's own stderr is.
 */
#ifndef COVEY_CORE_PROGRESS_H
#define COVEY_CORE_PROGRESS_H

typedef enum {
    CV_PROGRESS_AUTO,
    CV_PROGRESS_LIVE,
    CV_PROGRESS_LOG,
    CV_PROGRESS_OFF
} cv_progress_mode;

/** Choose; AUTO is resolved here. Returns the mode in force. */
cv_progress_mode cv_progress_init(cv_progress_mode mode);

/** Show this text: redraws the live line, cut to the terminal's width, or
 *  prints a line. What matters most comes first. */
void cv_progress_show(const char *text);

/** Replace the live line only (nothing in log mode): between rounds. */
void cv_progress_tick(const char *text);

/** Take the live line away so that something else can be printed. */
void cv_progress_clear(void);

/** Keep the last live line and move on to a new one. */
void cv_progress_end(void);

/** "4.2 s", "3 min 05 s", "2 h 10 min": for people. */
void cv_format_seconds(char *out, int size, double seconds);

#endif
