package diagnosis

var EngineFirewallBroken = define("engine-firewall-broken", noLevel, definition{title: "The engine cannot add its firewall rules"})
