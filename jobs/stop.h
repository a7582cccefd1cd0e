/** SIGINT and SIGTERM ask a command that talks to a chain to stop where nothing
 *  is lost; it then ends with exit code 75. Local. */
#ifndef COVEY_JOBS_STOP_H
#define COVEY_JOBS_STOP_H

void cv_stop_on_signals(void);
/** 0 until a signal came. */
const int *cv_stop_flag(void);

#endif
