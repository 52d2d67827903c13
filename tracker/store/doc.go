// Package store says what a tracker keeps in its database and what each access
// promises, without saying how: the tables are those of MogileFS schema 17
// (docs/spec/schema.md), so that other trackers can work on them at the same time.
//
// [Store] is the sum of small roles. A job or a command takes only the roles it
// uses, so its parameter list shows what it can change. An upload walks through
// [Uploads]: Open takes a fid, Close turns the tempfile row into a file row and
// queues its replication in one transaction; [Queue] then hands the fid to the
// replicate job, which records what it did with [Copies].
//
// Errors: every method may return an error that is none of the sentinels below;
// it then means the database could not be asked, and nothing was changed unless
// the method says otherwise. All methods may be called by many goroutines.
//
// What it does not do: decide anything, talk to a storage node, or cache.
package store
