// Package sqlstore keeps what a tracker knows in an SQL database with the tables
// of MogileFS schema 17 (docs/spec/schema.md). It is the one implementation of
// [store.Store]; the contracts stand there.
//
// An upload walks through it like this: [Store.CloseUpload] (uploads.go) says in
// SQL what happens and hands that to the database's write. For SQLite, writer.go
// runs it together with the other changes that wait at that moment, commits once
// for all of them, and answers when the commit is on disk. Statements are written
// in the words of MySQL; dialect.go says which words a dialect replaces, and each
// text is prepared once per connection. [Store.Locate] needs none of this: it is
// one SELECT on one of several reading connections.
//
// It does not decide anything, retry a job or cache rows: that is for those who
// hold the roles of package store.
package sqlstore
