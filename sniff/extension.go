package sniff

// maxKnownExtensions is beyond what any client sends; the registry has some seventy types.
const maxKnownExtensions = 256

// readExtensions takes a block of extensions off c and appends them to list.
func readExtensions(c *cursor, list []Extension) ([]Extension, bool) {
	block, ok := c.vector16()
	if !ok {
		return nil, false
	}
	for b := cursor(block); len(b) > 0; {
		extensionType, ok := b.uint16()
		if !ok {
			return nil, false
		}
		data, ok := b.vector16()
		if !ok {
			return nil, false
		}
		if len(list) == cap(list) { // once, for all that can follow
			list = append(make([]Extension, 0, len(list)+1+len(b)/4), list...)
		}
		list = append(list, Extension{Type: extensionType, Data: data})
	}
	return list, true
}

// repeatsType says whether two extensions have one type, which RFC 8446 section 4.2 forbids, or
// there are too many to compare them.
func repeatsType(list []Extension) bool {
	if len(list) > maxKnownExtensions {
		return true
	}
	seen := uint64(0) // a bit for the types that are equal modulo 64
	for i, e := range list {
		bit := uint64(1) << (e.Type % 64)
		if seen&bit != 0 {
			if _, ok := findExtension(list[:i], e.Type); ok {
				return true
			}
		}
		seen |= bit
	}
	return false
}

func findExtension(list []Extension, extensionType uint16) ([]byte, bool) {
	for _, e := range list {
		if e.Type == extensionType {
			return e.Data, true
		}
	}
	return nil, false
}
