package tally

// Edge is what edges count.
type Edge struct {
	// Requests is how many were answered, or ended otherwise.
	Requests [Methods][Ends]Counter
	// Duration is how long requests took from their arrival to the last byte of the answer, clients
	// that are slow to take or to send it included.
	Duration [Methods]Histogram
	// FirstByte is how long GETs that were answered with bytes took from their arrival to the header of
	// the answer, by where its first byte came from.
	FirstByte [Sources]Histogram
	// Sent is the bytes of files that were handed to clients, by where they came from.
	Sent [Sources]Counter
	// Stored is the bytes of uploads that became files.
	Stored Counter
	// Failovers is how often a copy was opened after another could not be; Resumes how often a body that
	// had begun was continued from another copy.
	Failovers, Resumes Counter
	// Hedges is how often a second copy was asked because the first was late, and HedgesWon how often
	// the second was the first to answer.
	Hedges, HedgesWon Counter
	// Asked is how long a tracker took to answer, or not to, by question.
	Asked Table[Question, Histogram]
}

// Question is something that an edge asks of a tracker, and whether it was answered; that a key is
// unknown is an answer.
type Question struct {
	Name     string
	Answered bool
}

// Method is that of a request.
type Method uint8

// The methods.
const (
	Get Method = iota
	Head
	Put
	Post
	Delete
	Methods // how many there are
)

// MethodOf is the method of a name; that of another is Get, as edges take them for one.
func MethodOf(name string) Method {
	switch name {
	case "HEAD":
		return Head
	case "PUT":
		return Put
	case "POST":
		return Post
	case "DELETE":
		return Delete
	}
	return Get
}

func (m Method) String() string { return [Methods]string{"GET", "HEAD", "PUT", "POST", "DELETE"}[m] }

// End is how a request ended.
type End uint8

// The ends.
const (
	Refused     End = iota // a fault of the client that is not one of the others
	Served                 // as it should: 2xx
	NotModified            // 304
	NotFound               // the key or domain is unknown
	ClientGone             // nobody was there any more to take the answer, or to send the upload
	NoTracker              // no tracker answered
	NoCopy                 // no copy could be read
	NotStored              // no device took the upload, or none could be had
	NoSpace                // devices are full
	Aborted                // the answer was cut short, as no copy had the rest
	Ends                   // how many there are
)

func (e End) String() string {
	return [Ends]string{
		"refused", "served", "not_modified", "not_found", "client_gone",
		"no_tracker", "no_copy", "not_stored", "no_space", "aborted",
	}[e]
}

// Source is where bytes came from.
type Source uint8

// The sources.
const (
	Nowhere Source = iota // there are none
	Memory                // the content cache
	Shared                // a fetch that another request had begun
	Local                 // a disk of this process
	Remote                // a storage node over HTTP
	Sources               // how many there are
)

func (s Source) String() string {
	return [Sources]string{"nowhere", "memory", "shared", "local", "remote"}[s]
}
