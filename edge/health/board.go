package health

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// maxNodes and maxDevices bound the memory: far above what clusters have. When there
	// are more, what is known is forgotten.
	maxNodes   = 4096
	maxDevices = 1024
)

// Board knows all nodes, by the addresses in the URLs of copies. Its methods may be called by
// many goroutines.
type Board struct {
	log   *zap.Logger
	tick  atomic.Int64
	aside aside

	mu    sync.Mutex // held while nodes changes
	nodes atomic.Pointer[map[string]*Node]

	stop  chan struct{}
	once  sync.Once // Close
	watch sync.WaitGroup
}

// New returns a Board. Close it after use.
func New(log *zap.Logger) *Board {
	b := &Board{log: log, stop: make(chan struct{})}
	b.nodes.Store(&map[string]*Node{})
	b.watch.Go(b.run)
	return b
}

// Close ends the board's goroutine. Calls may go on; nobody watches them any more.
func (b *Board) Close() error {
	b.once.Do(func() { close(b.stop) })
	b.watch.Wait()
	return nil
}

// Place is where a copy is.
type Place struct {
	Node *Node
	// Device is one of the node's.
	Device *Unit
}

// Place finds the place of a copy, of which nothing needs to be known yet.
func (b *Board) Place(c mogile.Copy) Place {
	n := b.node(address(c.URL))
	return Place{Node: n, Device: n.device(c.Dev)}
}

// address is the host and port of a URL.
func address(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	addr, _, _ := strings.Cut(url, "/")
	return addr
}

// Level is the worse of the two.
func (p Place) Level() Level { return max(p.Node.Level(), p.Device.Level()) }

// Silent reports whether requests wait for the node or the device, and nothing has come for a
// moment.
func (p Place) Silent() bool { return p.Node.isSilent() || p.Device.isSilent() }

func (b *Board) node(addr string) *Node {
	if n, ok := (*b.nodes.Load())[addr]; ok {
		return n
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := *b.nodes.Load()
	if n, ok := known[addr]; ok {
		return n
	}
	more := map[string]*Node{}
	if len(known) < maxNodes {
		more = maps.Clone(known)
	}
	n := b.newNode(strings.Clone(addr))
	more[n.addr] = n
	b.nodes.Store(&more)
	return n
}

// Node is a storage node. Its Unit is what is known of the node itself.
type Node struct {
	Unit
	addr     string
	inFlight atomic.Int64
	// typical is the running median of how long the first byte takes, in nanoseconds,
	// 0 when nothing is known; answers is how many there were, answered the tick of
	// the last.
	typical, answers, answered atomic.Int64
	// slowOver is how long a typical first byte took when the node was found slow.
	slowOver atomic.Int64

	growing sync.Mutex // held while devices changes
	devices atomic.Pointer[map[mogile.DevID]*Unit]

	listed sync.Mutex // guards calls
	calls  list
}

func (b *Board) newNode(addr string) *Node {
	n := &Node{addr: addr}
	n.log = b.log.With(zap.String("node", addr))
	n.devices.Store(&map[mogile.DevID]*Unit{})
	return n
}

// InFlight is how many calls there are.
func (n *Node) InFlight() int64 { return n.inFlight.Load() }

func (n *Node) device(dev mogile.DevID) *Unit {
	if u, ok := (*n.devices.Load())[dev]; ok {
		return u
	}
	n.growing.Lock()
	defer n.growing.Unlock()
	known := *n.devices.Load()
	if u, ok := known[dev]; ok {
		return u
	}
	more := map[mogile.DevID]*Unit{}
	if len(known) < maxDevices {
		more = maps.Clone(known)
	}
	u := &Unit{log: n.log.With(zap.Stringer("device", dev))}
	more[dev] = u
	n.devices.Store(&more)
	return u
}

// medianPart is by what part an answer moves the running median: a node that becomes a
// hundred times slower is known after forty answers, and one late answer means nothing.
const medianPart = 8

func (n *Node) learn(took time.Duration, tick int64) {
	median := n.typical.Load()
	switch {
	case median == 0:
		median = max(int64(took), 1)
	case int64(took) > median:
		median += median/medianPart + 1
	default:
		median -= median / medianPart
	}
	// Of two answers at once one may count for nothing.
	n.typical.Store(median)
	n.answers.Add(1)
	n.answered.Store(tick)
}

// Asked ends what [Unit.Ask] began; err is nil when the node answered, whatever that said,
// and took is how long it took. A node that was slow is good again when that is less than
// half of what made it slow.
func (n *Node) Asked(err error, took time.Duration) {
	if n.asked(err, int64(took) < n.slowOver.Load()/2) {
		n.typical.Store(0)
		n.answers.Store(0)
	}
}
