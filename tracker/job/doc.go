// Package job is the work a tracker does by itself: it makes the copies that files lack,
// and removes those that nobody needs any more (docs/spec/jobs.md).
//
// An upload is closed: its fid is in the replicate queue, and [Jobs.Wake] says so. The crew
// of the job (package crew) claims the row and hands it to a worker, who takes the fid's
// lock, asks the class's policy where another copy may go, has the bytes streamed there,
// records the copy, asks again, and says that the row is finished when the policy is
// content. Should it fail, the row comes due again later; should the process die, the claim
// runs out. So everything that must still happen is a row in a queue, at any instant.
//
// Where to copy is known from the monitor (package monitor), which runs beside the
// workers and publishes what it sees of the nodes as the next snapshot (package
// topology). They wait for its first round.
//
// What it does not do: answer clients, claim rows and keep them (package crew), decide how
// many copies a file needs (package policy), or speak HTTP (package node).
package job
