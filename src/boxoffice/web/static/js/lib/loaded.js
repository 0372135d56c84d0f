// Every file is loaded: an error from now on is a fault of the code and not of the network (`boot.js`).

document.dispatchEvent(new Event("boxoffice:loaded"));
