package tally

// Tracker is what trackers count.
type Tracker struct {
	// Commands is how long commands of clients took, by name and code; what waited for its turn has
	// waited as part of that.
	Commands Table[Command, Histogram]
	// Accepted is connections that were let in, and Refused those that were not.
	Accepted Counter
	Refused  Table[string, Counter]
	// Jobs is how long rows of the queues were worked on, by job and what became of them.
	Jobs Table[Job, Histogram]
	// Copied is the bytes of copies that replication made.
	Copied Counter
}

// Command is a command of clients, and the code of its answer: ok, or that of an error.
type Command struct{ Name, Code string }

// Job is a job, and what became of a row.
type Job struct{ Name, Result string }

// Database is what stores count: how long accesses took, by kind and whether they went well.
type Database struct{ Accesses Table[Access, Histogram] }

// Access is a kind of access to a database.
type Access struct {
	Kind   string
	Failed bool
}
