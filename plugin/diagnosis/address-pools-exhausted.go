package diagnosis

var AddressPoolsExhausted = define("address-pools-exhausted", noLevel, definition{title: "The engine has no free subnet or address left"})
