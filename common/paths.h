/* SPDX-License-Identifier: GPL-2.0 */
/* Where the daemon is found and keeps its things; user land only. */
#ifndef _IM_PATHS_H
#define _IM_PATHS_H

#define SYNCD_RUN	"/run/intermezzo"
#define SYNCD_SOCK	SYNCD_RUN "/intersyncd.sock"
#define SYNCD_LIB	"/var/lib/intermezzo"

#endif /* _IM_PATHS_H */
