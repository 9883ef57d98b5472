package awssim

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// writeXML writes the members of a struct by its xml tags, without an element around them.
func writeXML(b *bytes.Buffer, v any) error {
	const wrapper = "w"
	var members bytes.Buffer
	encoder := xml.NewEncoder(&members)
	if err := encoder.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: wrapper}}); err != nil {
		return err
	}
	text := bytes.TrimPrefix(members.Bytes(), []byte("<"+wrapper+">"))
	b.Write(bytes.TrimSuffix(text, []byte("</"+wrapper+">")))
	return nil
}

// xmlText is a string as XML holds it.
func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
