package sniff

// Cut reports, once the stream has ended, that it was a TLS stream that ended
// without a close_notify (RFC 8446 section 6.1), so that its tail may be
// missing: what [Relay] calls [ErrCut]. It is known only where the TLS
// connection was made over a *Conn.
func (r *Reader) Cut() bool { return r.below != nil && r.rerr != nil && r.below.eof.Load() }
