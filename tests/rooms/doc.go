// Package rooms holds the doors and habits of the house: which package may import
// which, which words belong to which room, how long a function may grow.
//
// A check walks through it like this: [load] parses every Go file of the tree,
// each check looks at the files and returns one line for every breach, with the
// reason and the right alternative in it, and the test fails with those lines. The
// rules themselves are checked too, against small wrong programs.
//
// A room is a package; [table] has one row for each. A new package needs a new
// row, and a new door a new entry in its row: both are decisions, so they are made
// here, where a reviewer sees them.
//
// It does not judge names, comments or designs; people do that.
package rooms
