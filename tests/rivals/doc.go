// Package rivals lets many clients want the same thing at the same moment, on each
// database, with one tracker and with two, and then looks into all tables.
//
// The clients hold connections to trackers of this process, which keep their files on
// a storage node of this process. Jobs rest while the clients race, so that all that
// was queued is still there when the tables are read: every upload was closed or given
// up, every content that nobody sees waits for its deletion, every one that is seen has
// its copies and waits for more. Then the jobs are let loose, and devices and tables
// must come to hold the visible files and nothing else.
package rivals
