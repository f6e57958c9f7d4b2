"""Tests beside other libraries on real prices: npm run test:peers."""
