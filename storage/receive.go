package storage

import "io"

// receive copies the body. It tells a client that is gone from a disk that fails.
func (n *Node) receive(u upload, body io.Reader) (readErr, writeErr error) {
	r := bodyReader{body: body, buffers: &n.buffers}
	defer r.release()
	for {
		got, err := r.read()
		if len(got) > 0 {
			u.sum.write(got)
			if _, werr := u.dst.Write(got); werr != nil {
				return nil, werr
			}
		}
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
	}
}

// bodyReader reads a body with a small buffer, and with a large one only as long as
// the small one would be full: thousands of clients may be slow at the same time.
type bodyReader struct {
	body    io.Reader
	buffers *buffers
	small   *[smallLen]byte
	large   *[largeLen]byte // nil while the body comes slowly
}

// read returns bytes that are valid until the next call, maybe with an error. There are
// smallLen at least when there is none.
func (r *bodyReader) read() ([]byte, error) {
	if r.large == nil {
		return r.fill(0)
	}
	got, err := r.body.Read(r.large[:])
	if got >= smallLen || err != nil {
		return r.large[:got], err
	}
	// It fits into the small one, for whose rest the client may take long.
	copy(r.getSmall()[:], r.large[:got])
	r.buffers.putLarge(r.large)
	r.large = nil
	return r.fill(got)
}

// fill fills the rest of the small buffer.
func (r *bodyReader) fill(got int) ([]byte, error) {
	buf := r.getSmall()
	for got < len(buf) {
		n, err := r.body.Read(buf[got:])
		got += n
		if err != nil {
			return buf[:got], err
		}
	}
	r.large = r.buffers.tryLarge()
	return buf[:], nil
}

func (r *bodyReader) getSmall() *[smallLen]byte {
	if r.small == nil {
		r.small = r.buffers.getSmall()
	}
	return r.small
}

func (r *bodyReader) release() {
	r.buffers.putLarge(r.large)
	if r.small != nil {
		r.buffers.putSmall(r.small)
	}
}
