// Package node is all that a tracker says to storage nodes: HTTP on their port and
// their get port, and digests over their side channel (docs/spec/storage-node.md §2.6,
// docs/spec/tracker-protocol.md §11).
//
// A copy for replication goes so: [Client.MakeDirs] prepares the destination's
// directories, [Client.Copy] streams the source's GET into the destination's PUT and
// digests what passes by, [Client.Digest] has the destination read it back. Memory
// stays bounded whatever the length. Every wait for a node is bounded too, but not the
// whole transfer: a slow node that makes progress is let alone.
//
// Lengths of files on this process's own disks are looked at there, without a request.
//
// It decides nothing: it knows no device states, no policy and no database, retries
// nothing but a connection that had died in the pool, and follows no redirect.
package node
