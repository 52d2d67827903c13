// Package tracker joins a tracker's rooms: the line protocol in front, the commands
// behind it, the database below, and the jobs beside them.
//
// A client opens a connection to a listener given to [Tracker.Serve] and sends a line;
// the line server reads it (package protocol) and has it carried out (package command)
// against the snapshot of the cluster (package topology) and the database (package
// store). An upload that was closed so wakes the replicate job (package job), which has
// the storage nodes copy it (package node) to where the class's policy wants it (package
// policy). An edge in the same process calls [Tracker.Commands] without any line.
//
// What it does not do: open the database, or read configuration. Both are handed in.
package tracker
