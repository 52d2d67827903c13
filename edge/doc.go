// Package edge serves the files of MogileFS over plain net/http: it finds a key's
// copies, streams one, goes on from another when it fails, takes uploads and
// deletes.
//
// A GET walks through it so: [Edge.Serve] is handed the domain and key. The location
// comes from the cache, or else from the [Tracker] (read.go). What the request's
// conditions and ranges ask for is computed from the fid and the length, without
// touching a copy (package semantics). A file that is in memory, or on its way
// there for somebody else, is sent from it (memory.go). Else the copies are tried in order,
// those on this process's own [Disks] first (copies.go), and last those of which package
// health knows that they are in trouble: a local file is handed
// bare to the connection, so that the system sends it, or is read when it is small
// (small.go); a remote one is fetched from
// its node (fetch.go). A copy that fails in the middle is continued from another at
// the same offset, for a fid's bytes never change (send.go). When all have failed, or one
// is not where it was remembered to be, the tracker is asked once more, past the cache.
//
// A PUT (put.go) opens an upload at the tracker and pumps the body, hashing it, into
// the first destination, which is a local file or a PUT to a node, or into several
// (package upload); only the close at the tracker makes the key visible.
//
// It does not authenticate, does not choose domain, key or class, writes no error
// pages, and never names a node, device or path in a reply.
package edge
