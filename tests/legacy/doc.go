// Package legacy makes databases as MogileFS-Server 2.73 and its predecessors leave them,
// from docs/spec/schema.md, and plays an old tracker that works on one of them.
//
// [Schema] creates the tables of a version in the words of one kind of database; [Rows]
// has something for every table. A test opens the result with a store of ours, and must
// find everything in its place. [Tracker] is the neighbour that goes on working there: it
// does what the specification says an old tracker does, statement by statement, each
// committed by itself.
//
// It knows nothing of this project's stores.
package legacy
