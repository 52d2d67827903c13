// Package failover takes storage nodes, and the tracker, away from an edge under load, and
// holds it to its promise: while one good copy of a file can be reached, no client sees an
// error, a wrong byte, or a body that ends too soon.
//
// A tracker with an edge, and three storage nodes, are processes of their own. Between the edge and
// each node stands a relay in this process, by which the node can be cut off in the middle of
// what it says, or fall silent as behind a cable that was pulled. Sixty-four clients read
// files of 4 KiB to 20 MiB, whole and in parts, and compare every byte, while one node after the other
// is killed, frozen, silenced, cut off again and again, or filled up, and comes back.
//
// It goes round for five minutes; go test ./tests/failover -for 1h does for an hour, and -for 0
// meets each fault once. What fills a disk up needs the
// right to mount; without it that is left out, but not in continuous integration.
package failover
