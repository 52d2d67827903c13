// Package machines loses whole machines. Each is a network namespace ([network]) in which run,
// as on a small site, a Caddy that is edge, tracker and storage node, and a MariaDB; one
// MariaDB takes the writes, the other follows it and waits with it for each commit
// (semi-synchronous replication).
//
// Clients know all edges and go on to another one when theirs does not answer, as browsers
// and balancers do. While they read and write, a machine loses its power and its cable.
// No read of theirs may fail; after packaging/two-machines/promote has run, writes go on;
// and when the machine is back, all files come back to their count.
//
// It needs root.
package machines
