// Package patience surrounds the storage node of one real process with clients that are
// slow, and holds that they cost little, disturb nobody, and leave nothing behind.
//
// Ten thousand connections move a byte a second each: most dribble the header of a
// request, some the body of an upload, others take a large file that way. Meanwhile files
// are stored and read as if they were alone. Then the clients vanish: some reset their
// connections, some close only their half. The memory of the process is bounded
// throughout; when all are gone, so are their descriptors, goroutines and temporaries.
package patience
