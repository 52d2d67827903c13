// Package restore loses the database of an installation, and restores it with the commands
// of docs/operating.md.
//
// Clients upload while the database is saved, and after it; a file is deleted, another one
// replaced. Then the process is killed. Afterwards what was saved is to be there, no
// number of a file may be given again, and an fsck has to find what has lost its bytes.
package restore
